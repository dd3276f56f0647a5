"""The control socket's listener. Import late: it loads the server."""

import contextlib
import os
import socket
import stat
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from kuma_sd.core.close_on_error import close_on_error
from kuma_sd.core.errors import KumaSDError
from kuma_sd.core.logger import Logger
from kuma_sd.system.directories import OpenDirectory, open_path
from kuma_sd.system.trust_rules import trusted_owners
from kuma_sd.web.control_limits import check_length
from kuma_sd.web.paths import lane_of
from kuma_sd.web.server.limits import ConnectionLimits
from kuma_sd.web.server.serving import Serving

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

_log = Logger(__name__)

LIMITS = ConnectionLimits(threads=2, connections=64)
"""Limits of the control socket's clients."""

LOOK_SECONDS = 5.0
"""Interval between two checks that the socket still exists, in seconds."""


class ControlSocket:
    """Serves an application over a unix socket, to the daemon's user and root.

    The socket is created again if it is deleted, for example by a cleaner of /tmp.

    Args:
        path: the socket's path; its directory is created if missing.
        application: the WSGI application.
    """

    def __init__(self, path: Path, application: "WSGIApplication") -> None:
        self._path = path
        self._application = application
        self._listening: _Listening | None = None
        self._failing = ""
        self._woken = threading.Event()
        self._closing = threading.Event()

    def start(self) -> None:
        """Start to listen. If that fails, log it; the daemon continues without a control socket."""
        try:
            check_length(self._path)
            bound, made = self._bound()
        except (KumaSDError, OSError) as error:
            self._say(getattr(error, "strerror", "") or str(error))
            return
        self._listening = _Listening(self._path, made, Serving(bound, self._application, LIMITS, lane_of=lane_of))
        if self._failing:
            _log.info("listening at the control socket again", path=self._path)
        self._failing = ""

    def run(self) -> None:
        """Keep the socket in place until closed."""
        while not self._closing.is_set():
            if not self._listening or not self._listening.is_at(self._path):
                self._leave()
                self.start()
            if self._listening:
                self._listening.serve()
            self._woken.wait(LOOK_SECONDS)
            self._woken.clear()
        self._leave()

    def move(self, path: Path) -> None:
        """Change the socket's path after a reload."""
        self._path = path
        self._woken.set()

    def close(self) -> None:
        """End run(), from any thread."""
        self._closing.set()
        self._woken.set()

    def _leave(self) -> None:
        if self._listening:
            self._listening.end()
            self._listening = None

    def _say(self, failing: str) -> None:
        if failing != self._failing:
            _log.warning(
                "cannot create the control socket, commands like 'kuma-sd accept' do not work; retrying",
                path=self._path,
                reason=failing,
            )
        self._failing = failing

    def _bound(self) -> tuple[socket.socket, os.stat_result]:
        with open_path(self._path, make=True) as (directory, name):
            if os.geteuid() and directory.status().st_uid not in trusted_owners():
                raise KumaSDError(f"the directory of the control socket {str(self._path)!r} belongs to another user")
            self._make_room(directory, name)
            bound = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            with close_on_error(bound):
                # bind() takes these over. Afterwards, what is at the path may be a link that another user put there.
                os.fchmod(bound.fileno(), 0o600)
                bound.bind(directory.address_of(name))
                # Listen before renaming: another process would take a socket that does not listen for a stale one.
                bound.listen(LIMITS.connections)
                return bound, directory.status_of(name)

    def _make_room(self, directory: OpenDirectory, name: str) -> None:
        """Remove the stale socket of a dead process; raise an error if its process is alive."""
        try:
            status = directory.status_of(name)
            if not stat.S_ISSOCK(status.st_mode) or status.st_uid not in trusted_owners(directory.status()):
                raise KumaSDError(
                    f"what is at {str(self._path)!r} is no socket of kuma-sd, and belongs to uid {status.st_uid}; "
                    "remove it, or set control-socket to a path in a directory of your own"
                )
            with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
                # A full queue also shows that the process is alive.
                probe.setblocking(False)  # noqa: FBT003 (its only argument)
                probe.connect(directory.address_of(name))
        except FileNotFoundError:
            return
        except ConnectionRefusedError:
            directory.unlink(name)
            return
        except BlockingIOError:
            pass
        raise KumaSDError(f"another kuma-sd listens at the control socket {str(self._path)!r}")


class _Listening:
    """A served unix socket.

    Args:
        path: the path of the new socket.
        made: its status.
        serving: its server.
    """

    def __init__(self, path: Path, made: os.stat_result, serving: Serving) -> None:
        self._path = path
        self._made = made
        self._serving = serving
        self._thread: threading.Thread | None = None

    def serve(self) -> None:
        """Start the serving thread, if it is not running yet."""
        if not self._thread:
            thread = threading.Thread(target=self._serving.run, name="control socket clients", daemon=True)
            thread.start()
            self._thread = thread

    def end(self) -> None:
        """Remove the socket, unless another process has replaced it, and stop serving."""
        # A removal by others at the same time does no harm; the next start replaces a stale socket.
        with contextlib.suppress(OSError), open_path(self._path) as (directory, name):
            if os.path.samestat(directory.status_of(name), self._made):
                directory.unlink(name)
        self._serving.close()
        if self._thread:
            self._thread.join()
        else:
            self._serving.socket.close()

    def is_at(self, path: Path) -> bool:
        """Tell whether a path still leads to this socket."""
        try:
            with open_path(path) as (directory, name):
                return os.path.samestat(directory.status_of(name), self._made)
        except OSError:
            return False
