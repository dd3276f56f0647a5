"""Where the daemon listens. Importing this loads cheroot, so it is done late."""

import contextlib
import logging
import os
import socket
import stat
import threading
from pathlib import Path
from typing import Any

from cheroot import wsgi

from kuma_sd.errors import KumaSDError
from kuma_sd.web.application import LARGEST_BODY, Application
from kuma_sd.web.client import check_length

_log = logging.getLogger(__name__)

THREADS = 2
"""How many requests on the control socket are answered at a time."""


QUEUE = 128
"""How many clients may wait for that; one more is turned away."""


class ControlSocket:
    """Serves an application to those who may become the daemon's user, over a unix socket.

    Args:
        path: where; its directory is made if missing.
        application: what answers.
    """

    def __init__(self, path: Path, application: Application) -> None:
        self._path = path
        self._application = application
        self._socket: socket.socket | None = None
        self._made: os.stat_result | None = None
        self._closing = threading.Event()

    def start(self) -> None:
        """Begin to listen. If that cannot be done, this is logged, and the daemon goes on without."""
        try:
            check_length(self._path)
            self._socket = self._bound()
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
        if self._socket is None:
            return
        server = _Server(self._socket, str(self._path), self._application)
        server.prepare()
        serving = threading.Thread(target=server.serve, name="control socket", daemon=True)
        serving.start()
        self._closing.wait()
        stopping = threading.Thread(target=server.stop, daemon=True)
        stopping.start()
        while stopping.is_alive():
            # A connection wakes the server, which looks seldom whether it shall stop.
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as poke, contextlib.suppress(OSError):
                poke.setblocking(False)  # noqa: FBT003 (its only argument)
                poke.connect(str(self._path))
            stopping.join(0.01)
        serving.join()
        self._remove()

    def close(self) -> None:
        """End run(), from any thread."""
        self._closing.set()

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
            bound.listen(QUEUE)
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


class _Server(wsgi.Server):
    """Cheroot's server, on a socket that is bound already; its own would be open to everybody."""

    max_request_header_size = 2**14
    max_request_body_size = LARGEST_BODY

    def __init__(self, bound: socket.socket, address: str, application: Application) -> None:
        super().__init__(
            address, application, THREADS, max=THREADS, request_queue_size=QUEUE, timeout=5, shutdown_timeout=0
        )
        self._bound = bound

    def bind_unix_socket(self, _address: str) -> socket.socket:
        self.socket = self._bound
        return self._bound

    def error_log(self, msg: str = "", level: int = logging.INFO, traceback: Any = False) -> None:  # noqa: ANN401, FBT002 (cheroot's)
        _log.log(level, "%s", msg, exc_info=bool(traceback))
