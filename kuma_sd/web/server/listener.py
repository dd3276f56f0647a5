"""Where the daemon listens. Importing this loads what serves, so it is done late."""

import logging
import os
import socket
import stat
from pathlib import Path
from typing import TYPE_CHECKING

from kuma_sd.core.errors import KumaSDError
from kuma_sd.web.client import check_length
from kuma_sd.web.paths import takes_long
from kuma_sd.web.server.limits import ConnectionLimits
from kuma_sd.web.server.serving import Serving

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

_log = logging.getLogger(__name__)

LIMITS = ConnectionLimits(threads=2, connections=64, connections_of_client=64)
"""What those who use the control socket may take."""


class ControlSocket:
    """Serves an application to those who may become the daemon's user, over a unix socket.

    Args:
        path: where; its directory is made if missing.
        application: what answers.
    """

    def __init__(self, path: Path, application: "WSGIApplication") -> None:
        self._path = path
        self._application = application
        self._serving: Serving | None = None
        self._made: os.stat_result | None = None

    def start(self) -> None:
        """Begin to listen. If that cannot be done, this is logged, and the daemon goes on without."""
        try:
            check_length(self._path)
            self._serving = Serving(self._bound(), self._application, LIMITS, takes_long=takes_long)
        except KumaSDError as error:
            _log.warning("%s; going on without, so that commands like 'kuma-sd accept' do not work", error)
        except OSError as error:
            _log.warning(
                "cannot listen at the control socket %r: %s; going on without, so that commands like 'kuma-sd accept' "
                "do not work",
                str(self._path),
                error.strerror or error,
            )

    def run(self) -> None:
        """Serve until closed."""
        if self._serving:
            self._serving.run()
            self._remove()

    def close(self) -> None:
        """End run(), from any thread."""
        if self._serving:
            self._serving.close()

    def _bound(self) -> socket.socket:
        self._path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        owner = self._path.parent.stat().st_uid
        if os.geteuid() and owner not in (0, os.geteuid()):
            raise KumaSDError(f"the directory of the control socket {str(self._path)!r} belongs to another user")
        self._make_room()
        bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            bound.bind(str(self._path))
            # Before it listens nobody can connect, so that there is no moment in which others may.
            self._path.chmod(0o600)
            self._made = self._path.lstat()
            # Already here, since a socket that does not listen would be taken for a dead one.
            bound.listen(LIMITS.connections)
        except BaseException:
            bound.close()
            raise
        return bound

    def _make_room(self) -> None:
        """Remove the socket of a process that is dead; refuse if one is alive."""
        try:
            if not stat.S_ISSOCK(self._path.lstat().st_mode):
                raise KumaSDError(f"the control socket cannot be made: {str(self._path)!r} is there and is none")
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                # A full queue is a sign of life as well.
                probe.setblocking(False)  # noqa: FBT003 (its only argument)
                probe.connect(str(self._path))
        except FileNotFoundError:
            return
        except ConnectionRefusedError:
            self._path.unlink(missing_ok=True)
            return
        except BlockingIOError:
            pass
        raise KumaSDError(f"another kuma-sd listens at the control socket {str(self._path)!r}")

    def _remove(self) -> None:
        try:
            if self._made and os.path.samestat(self._path.lstat(), self._made):
                self._path.unlink()
        except OSError:
            # It is gone already, or somebody took the directory from us; a dead socket is replaced at the next start.
            return
