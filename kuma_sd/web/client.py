"""Client of a running daemon's control socket."""

import contextlib
import http.client
import os
import socket
import struct
import tempfile
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path

from kuma_sd.core.errors import KumaSDError
from kuma_sd.system.directories import open_path
from kuma_sd.system.trust_rules import trusted_owners
from kuma_sd.web.control_limits import LARGEST_ANSWER, check_length

TIMEOUT = 10.0
"""Response timeout, in seconds."""

LARGEST_DOWNLOAD = 2**32
"""Maximum size of a download, in bytes; a million targets are half a gigabyte."""

PIECE = 2**20
"""Size of the pieces of a download, in bytes."""


class DaemonError(KumaSDError):
    """The daemon at the control socket cannot be asked."""


class NoDaemonError(DaemonError):
    """Nothing listens at the control socket."""


def ask(path: Path, method: str, target: str) -> tuple[int, str]:
    """Send a request to the daemon; return the HTTP status and the response text.

    Args:
        path: the path of the control socket.
        method: like ``POST``.
        target: path and query, like ``/-/accept?control-plane=east``.

    Raises:
        NoDaemonError: no daemon listens.
        KumaSDError: the daemon does not respond.
    """
    with _answer(path, method, target) as response:
        return response.status, response.read(LARGEST_ANSWER).decode(errors="replace")


@contextlib.contextmanager
def download(path: Path, target: str) -> Iterator[Path]:
    """Download a large response of the daemon into a file, which exists until the block, or the process, ends.

    Args:
        path: the path of the control socket.
        target: path and query, like ``/-/received?control-plane=east``.

    Raises:
        NoDaemonError: no daemon listens.
        KumaSDError: the daemon does not respond, or returns an error.
    """
    with tempfile.TemporaryFile() as file:
        with _answer(path, "GET", target) as response:
            if response.status != HTTPStatus.OK:
                reason = response.read(LARGEST_ANSWER).decode(errors="replace").strip()
                raise KumaSDError(reason or f"the daemon answers with status {response.status}")
            while piece := response.read(PIECE):
                if file.tell() > LARGEST_DOWNLOAD:
                    raise KumaSDError(f"the answer of the daemon at {str(path)!r} has no end")
                file.write(piece)
        file.flush()
        yield Path(f"/proc/self/fd/{file.fileno()}")


@contextlib.contextmanager
def _answer(path: Path, method: str, target: str) -> Iterator[http.client.HTTPResponse]:
    check_length(path)
    connection = _Connection(path)
    try:
        connection.request(method, target)
        yield connection.getresponse()
    except (FileNotFoundError, ConnectionRefusedError) as error:
        raise NoDaemonError(
            f"no daemon listens at {str(path)!r}; start kuma-sd, or set control-socket to where it listens"
        ) from error
    except PermissionError as error:
        raise DaemonError(f"you may not use {str(path)!r}; try again as the user that kuma-sd runs as") from error
    except (OSError, http.client.HTTPException) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error) or type(error).__name__
        raise DaemonError(f"the daemon at {str(path)!r} does not answer: {reason}") from error
    finally:
        connection.close()


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("localhost", timeout=TIMEOUT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        # Unlike settimeout(), this waits while the daemon's queue of connections is full (connect(2), EAGAIN).
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _SECONDS.pack(int(TIMEOUT), 0))
        try:
            # Links on the way are followed if no other user can have made them.
            with open_path(self._path) as (directory, name):
                self.sock.connect(directory.address_of(name))
        except BlockingIOError as error:
            raise TimeoutError(f"too many others are connected; gave up after {TIMEOUT:g} s") from error
        self.sock.settimeout(TIMEOUT)
        _check_owner(self._path, self.sock)


# The seconds and microseconds of SO_SNDTIMEO (socket(7)).
_SECONDS = struct.Struct("@ll")

# The peer's process, user and group (SO_PEERCRED in unix(7)).
_CREDENTIALS = struct.Struct("3i")


def _check_owner(path: Path, connected: socket.socket) -> None:
    """Reject a socket of another user: in /tmp any user can create one at the daemon's path."""
    credentials = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    _, user, _ = _CREDENTIALS.unpack(credentials)
    # The daemon's user owns the directory, which systemd created. Root has to use it.
    if user not in trusted_owners(path.parent.stat() if os.geteuid() == 0 else None):
        raise DaemonError(f"who listens at {str(path)!r} is another user (uid {user}), and no daemon of yours")
