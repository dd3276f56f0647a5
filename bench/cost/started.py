"""Measure start times and idle cost."""

import compileall
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from plane import serving
from watched import cpu, watching

import kuma_sd
import kuma_sd_bundled

TIMES = 9

THREADS_OF_GRPC = ("grpc_global_tim", "event_engine", "lifeguard")
"""What the C core of gRPC calls its threads; all others have the name of the process."""


@dataclass(frozen=True)
class Idle:
    """The cost of an idle daemon.

    Args:
        cpu: the share of one CPU.
        own: wake-ups a second of our threads.
        grpc: those of gRPC's.
    """

    cpu: float
    own: float
    grpc: float


def starts() -> dict[str, float]:
    """Return the median seconds of each command: until its end, or until it connects for the first time."""
    for package in (kuma_sd, kuma_sd_bundled):
        # As pip does when it installs, whatever the environment says of writing it later.
        compileall.compile_dir(str(Path(package.__file__).parent), quiet=2)
    return {
        "`kuma-sd version`": _median(lambda: _ended("version")),
        "`kuma-sd check`": _median(lambda: _ended("check", "--cp-address=http://127.0.0.1:1")),
        "`kuma-sd run`, to its first attempt to connect": _median(_connected),
    }


def slowest_imports(command: str, count: int = 3) -> list[tuple[str, float]]:
    """Return the modules that take longest to import themselves, without what they import, in milliseconds."""
    program = [sys.executable, "-X", "importtime", "-m", "kuma_sd", command, "--cp-address=http://127.0.0.1:1"]
    output = subprocess.run(program, capture_output=True, text=True, check=False).stderr  # noqa: S603 (kuma-sd)
    found = re.findall(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", output)
    return [
        (name, int(took) / 1000)
        for took, name in sorted(((int(took), name) for took, name in found))[: -count - 1 : -1]
    ]


def idle(targets: int, protocol: str, seconds: float) -> Idle:
    """Watch a daemon whose targets do not change for so many seconds."""
    with tempfile.TemporaryDirectory() as folder, serving(targets, protocol) as plane:
        flags = (f"--cp-address={plane.url}", f"--output-file={folder}/targets.json")
        with watching(Path(folder), *flags) as daemon:
            daemon.until("durable")
            # The state is saved soon after the start, and memory is given back.
            time.sleep(35)
            daemon.settle()
            begun, used, before = time.monotonic(), cpu(daemon.pid), daemon.switches()
            time.sleep(seconds)
            took, used, after = time.monotonic() - begun, cpu(daemon.pid) - used, daemon.switches()
    wakes = {True: 0, False: 0}
    for thread, times in after.items():
        wakes[thread[1] in THREADS_OF_GRPC] += times - before.get(thread, 0)
    return Idle(used / took, wakes[False] / took, wakes[True] / took)


def _median(measure: Callable[[], float]) -> float:
    return statistics.median(measure() for _ in range(TIMES))


def _ended(*arguments: str) -> float:
    begun = time.monotonic()
    subprocess.run([sys.executable, "-m", "kuma_sd", *arguments], stdout=subprocess.DEVNULL, check=True)  # noqa: S603 (kuma-sd)
    return time.monotonic() - begun


def _connected() -> float:
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as server:
        flags = [f"--cp-address=http://127.0.0.1:{server.getsockname()[1]}", f"--output-file={folder}/targets.json"]
        flags += [f"--state-dir={folder}/state", f"--control-socket={folder}/control.sock", "--web-listen-address="]
        begun = time.monotonic()
        process = subprocess.Popen([sys.executable, "-m", "kuma_sd", "run", *flags], stderr=subprocess.DEVNULL)  # noqa: S603 (kuma-sd)
        try:
            server.accept()[0].close()
            return time.monotonic() - begun
        finally:
            process.kill()
            process.wait()
