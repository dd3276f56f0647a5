"""Debian's redis-server on loopback, to be killed, frozen and started again by its own process id."""

import contextlib
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

from killable import Killable
from waiting import eventually


def free_port() -> int:
    """Return a port that the kernel chose. redis-server cannot be told to let it choose."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class RedisServer(Killable[bytes]):
    """A server that comes back at the same port.

    Args:
        directory: where it keeps its files; made if missing.
        arguments: more of its command line.
        program: redis-server, or redis-sentinel.
        persistent: whether it has what was written when it comes back after a kill.
    """

    def __init__(
        self, directory: Path, *arguments: str | Path, program: str = "redis-server", persistent: bool = False
    ) -> None:
        super().__init__()
        directory.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.directory = directory
        self._arguments = [str(argument) for argument in arguments]
        self._program = program
        self._persistent = persistent

    @property
    def url(self) -> str:
        """Its address."""
        return f"redis://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process id."""
        assert self._process
        return self._process.pid

    def start(self) -> None:
        """Start it; returns once it answers."""
        options = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.directory)]
        durable = ["--appendonly", "yes", "--appendfsync", "everysec"] if self._persistent else ["--appendonly", "no"]
        own = [] if self._program == "redis-sentinel" else ["--save", "", *durable]
        with (self.directory / "log").open("ab") as log:
            command = [self._program, *self._arguments, *options, *own]
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        eventually(self.answers, f"{self._program} answers")

    def answers(self) -> bool:
        """Tell whether it is there and has loaded what it kept."""
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1.0) as connection:
            connection.settimeout(1.0)
            connection.sendall(b"PING\r\n")
            return connection.recv(100).startswith((b"+PONG", b"-NOAUTH"))
        return False

    def cli(self, *words: str | int) -> str:
        """Send a command and return what is printed."""
        command = ["redis-cli", "-p", str(self.port), *map(str, words)]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=10).stdout.strip()


@contextlib.contextmanager
def running(*servers: RedisServer) -> Iterator[None]:
    """Run servers while the block runs."""
    try:
        for server in servers:
            server.start()
        yield
    finally:
        for server in reversed(servers):
            server.kill()


@contextlib.contextmanager
def redis_server(directory: Path, *arguments: str | Path, persistent: bool = False) -> Iterator[RedisServer]:
    """Run one server while the block runs."""
    server = RedisServer(directory, *arguments, persistent=persistent)
    with running(server):
        yield server
