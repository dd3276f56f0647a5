"""A daemon without news is idle: nothing in it wakes up more often than it has to."""

import re
import time
from pathlib import Path

import pytest
from daemon_process import kuma_sd
from processes import Process
from waiting import eventually

from kuma_sd.simulator import Dataplane, SimulatedControlPlane, World, kuma

pytestmark = pytest.mark.timeout(180)

WAKE_UPS_A_SECOND = 5
SECONDS = 5.0


def wake_ups(daemon: Process) -> int:
    """Return how often the threads of a daemon were woken so far."""
    tasks = Path(f"/proc/{daemon.pid}/task").glob("*/status")
    found = (re.search(r"^voluntary_ctxt_switches:\s+(\d+)", task.read_text(), re.MULTILINE) for task in tasks)
    return sum(int(line[1]) for line in found if line)


def is_idle(daemon: Process) -> bool:
    """Tell whether it wakes up at most as often as it may, over some seconds."""
    begun, before = time.monotonic(), wake_ups(daemon)
    time.sleep(SECONDS)
    return wake_ups(daemon) - before <= WAKE_UPS_A_SECOND * (time.monotonic() - begun)


def test_all_threads_together_wake_up_at_most_five_times_a_second(tmp_path: Path) -> None:
    # Over HTTP, since gRPC's own threads and timers wake up some 15 times a second.
    with SimulatedControlPlane(World([Dataplane("a")]), line=kuma("2.14.3")) as plane:
        arguments = (f"--cp-address={plane.url}", f"--output-file={tmp_path}/targets.json")
        with kuma_sd("run", *arguments, "--web-listen-address=127.0.0.1:0") as daemon:
            daemon.wait_for_line("published")
            eventually(lambda: is_idle(daemon), "it is idle after its start", patience=90)
