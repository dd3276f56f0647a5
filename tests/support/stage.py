"""A daemon with a file of settings, looked at from outside while things happen to it."""

import contextlib
import json
import threading
from collections.abc import Iterator
from pathlib import Path

from background import in_background
from daemon_process import kuma_sd
from own_port import own_port
from processes import Process
from waiting import eventually

from kuma_sd.simulator import Dataplane, SimulatedControlPlane, World
from kuma_sd.web.client import ask

MANY = [f"web-{number:02}" for number in range(20)]

Kuma = SimulatedControlPlane[World]

MOVABLE_CLOCK = """
import time
_real = time.time
time.time = lambda: _real() + float(open({path!r}).read())
"""
"""What gives a program a wall clock that is ahead by the seconds in a file; Python loads it before the program."""


class Stage:
    """A daemon with a file of settings, and what it published."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.path = directory / "published/targets.json"
        self.config = directory / "kuma-sd.conf"
        self.state = directory / "state"
        self.environment: dict[str, str] = {}

    def settings(self, *addresses: str, **options: str) -> None:
        """Write the settings in one step."""
        lines = ["[kuma-sd]", "cp-address =", *(f"    {address}" for address in addresses)]
        lines += [f"{name.replace('_', '-')} = {value}" for name, value in options.items()]
        fresh = self.directory / "kuma-sd.new"
        fresh.write_text("\n".join([*lines, "[file_sd]", f"path = {self.path}", ""]))
        fresh.rename(self.config)

    @contextlib.contextmanager
    def running(self) -> Iterator[Process]:
        """Run the daemon until the block ends."""
        socket = f"{self.directory}/control.sock"
        with kuma_sd(
            "run", "-c", self.config, f"--state-dir={self.state}", f"--control-socket={socket}", **self.environment
        ) as daemon:
            yield daemon

    def move_clock(self, seconds: float) -> None:
        """Let the wall clock of the daemon be ahead by so many seconds, from now on or from its start."""
        ahead, fresh = self.directory / "ahead", self.directory / "ahead.new"
        fresh.write_text(str(seconds))
        fresh.rename(ahead)
        (self.directory / "sitecustomize.py").write_text(MOVABLE_CLOCK.format(path=str(ahead)))
        self.environment["PYTHONPATH"] = str(self.directory)

    def accept(self, *names: str) -> None:
        """Release the held targets."""
        with kuma_sd("accept", *names, KUMA_SD_CONTROL_SOCKET=f"{self.directory}/control.sock") as program:
            assert program.wait() == 0

    def asked(self, path: str) -> str:
        """Return what the daemon answers at its control socket."""
        return ask(self.directory / "control.sock", "GET", path)[1]

    def reload(self, daemon: Process, *addresses: str, **options: str) -> None:
        """Change the settings, and wait until they are taken."""
        self.settings(*addresses, **options)
        daemon.wait_for_line("new settings in effect")

    def names(self) -> list[str]:
        """Return what is published."""
        if not self.path.exists():
            return []
        return sorted(group["labels"]["dataplane"] for group in json.loads(self.path.read_bytes()))

    def becomes(self, *names: str) -> None:
        """Wait until exactly these are published."""
        eventually(lambda: self.names() == sorted(names), f"{len(names)} targets are published")

    @contextlib.contextmanager
    def never_without(self, *names: str) -> Iterator[None]:
        """Look all the time that none of these is missing."""
        ended, missing = threading.Event(), set[str]()

        def look() -> None:
            while not ended.wait(0.002):
                missing.update(set(names) - set(self.names()))

        with in_background(look, ended.set):
            yield
        assert missing == set()

    @contextlib.contextmanager
    def running_without_loss(self, *names: str) -> Iterator[Process]:
        """Run the daemon, and look all the time that none of these is missing once they are published."""
        with self.running() as daemon:
            self.becomes(*names)
            with self.never_without(*names):
                yield daemon


def serving(*names: str) -> SimulatedControlPlane[World]:
    """Return a control plane that can stop and come back at its port."""
    dataplanes = [Dataplane(name, labels={"env": "prod", "team": "web"}) for name in names]
    return SimulatedControlPlane(World(dataplanes), port=own_port(), refresh=0)
