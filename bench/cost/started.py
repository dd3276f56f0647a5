"""How long it takes to start, and what it costs to do nothing."""

import contextlib
import re
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from plane import serving
from watched import watching

TIMES = 9


def starts() -> dict[str, float]:
    """Return the median seconds of each command: until its end, or until it connects for the first time."""
    return {
        "`kuma-sd version`": _median(lambda: _ended("version")),
        "`kuma-sd check`": _median(lambda: _ended("check", "--cp-address=http://127.0.0.1:1")),
        "`kuma-sd run`, to its first attempt to connect": _median(_connected),
    }


def slowest_imports(command: str, count: int = 3) -> list[tuple[str, float]]:
    """Return the modules that take longest to import themselves, without what they import, in milliseconds."""
    program = [sys.executable, "-X", "importtime", "-m", "kuma_sd", command, "--cp-address=http://127.0.0.1:1"]
    told = subprocess.run(program, capture_output=True, text=True, check=False).stderr  # noqa: S603 (kuma-sd)
    found = re.findall(r"import time:\s+(\d+) \|\s+\d+ \|\s+(\S+)", told)
    return [
        (name, int(took) / 1000)
        for took, name in sorted(((int(took), name) for took, name in found))[: -count - 1 : -1]
    ]


def idle(targets: int, seconds: float) -> tuple[float, float]:
    """Return the share of one CPU, and the wake-ups a second, of a daemon whose targets do not change."""
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        plane = stack.enter_context(serving(targets, "gRPC"))
        flags = (f"--cp-address={plane.url}", f"--output-file={folder}/targets.json")
        daemon = stack.enter_context(watching(Path(folder), *flags))
        daemon.seconds()
        # The state is saved soon after the start, and memory is given back.
        time.sleep(35)
        daemon.settle()
        begun, cpu, switches = time.monotonic(), daemon.cpu(), daemon.switches()
        time.sleep(seconds)
        took = time.monotonic() - begun
        return (daemon.cpu() - cpu) / took, (daemon.switches() - switches) / took


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
