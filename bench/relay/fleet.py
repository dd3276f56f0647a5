"""Run publishers and edges as real processes, with one Redis and one simulated control plane."""

import contextlib
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from processes import Process
from redis_server import RedisServer

LEASE = "{kuma-sd:lease}"


class Member:
    """A ``kuma-sd run`` that is started again with the same state.

    Args:
        folder: what it keeps.
        arguments: more of its command line.
    """

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.folder = folder
        self.file = folder / "targets.json"
        self._arguments = arguments
        self.process: Process | None = None
        folder.mkdir(parents=True)

    @property
    def pid(self) -> int:
        """The process id."""
        assert self.process
        return self.process.pid

    def start(self) -> None:
        """Start it."""
        own = (f"--state-dir={self.folder}/state", f"--control-socket={self.folder}/control.sock")
        command = (sys.executable, "-m", "kuma_sd", "run", *own, *self._arguments)
        self.process = Process(*command, KUMA_SD_WEB_LISTEN_ADDRESS="")

    def kill(self) -> None:
        """End it at once, as kill -9 does."""
        if self.process:
            self.process.kill()


class Fleet:
    """All of them.

    Args:
        folder: where they keep what they keep.
        kuma: the address of the control plane.
        server: the Redis.
        publishers: how many there are.
        edges: what each is asked to add to the address of the relay.
        lease: of the publishers.
    """

    def __init__(  # noqa: PLR0913, PLR0917 (a whole set-up)
        self, folder: Path, kuma: str, server: RedisServer, publishers: int, edges: Sequence[str], lease: str
    ) -> None:
        self.server = server
        self.publishers = [
            Member(
                folder / f"publisher-{number}",
                *(f"--cp-address={kuma}", "--guard-hold=1s"),
                *("--output=redis", f"--redis-url={server.url}", f"--redis-lease={lease}"),
            )
            for number in range(publishers)
        ]
        self.edges = [
            Member(
                folder / f"edge-{number}",
                *(f"--cp-address={server.url}{query}", "--guard-hold=1s", "--relay-jitter=500ms"),
                f"--output-file={folder}/edge-{number}/targets.json",
            )
            for number, query in enumerate(edges)
        ]

    def leader(self) -> Member | None:
        """Return the publisher that has the lease, if one has it."""
        holder = self.server.cli("GET", LEASE).split("/")
        return next((publisher for publisher in self.publishers if holder[1:2] == [str(publisher.pid)]), None)

    @contextlib.contextmanager
    def running(self) -> Iterator[None]:
        """Run all while the block runs."""
        members = [*self.publishers, *self.edges]
        try:
            for process in members:
                process.start()
            yield
        finally:
            for process in members:
                process.kill()
