"""A daemon without news is idle: nothing in it wakes up more often than it has to."""

import re
import time
from http.client import HTTPConnection
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from daemon_process import kuma_sd
from processes import Process
from waiting import eventually

from kuma_sd.simulator import EVERYTHING, Dataplane, KumaVersion, SimulatedControlPlane, World, kuma

pytestmark = pytest.mark.timeout(180)

OURS = 2.0
"""How often a second the threads of kuma-sd may wake up, all together; it is 0.7 for most of the time."""

COMPLETION_QUEUE = 5.0
"""How often a second gRPC wakes up the one of its threads that is made in Python."""

SECONDS = 5.0


def wake_ups(daemon: Process) -> int:
    """Return how often the threads of a daemon were woken so far, without those that gRPC's C core made and named."""
    tasks = [task.read_text() for task in Path(f"/proc/{daemon.pid}/task").glob("*/status")]
    name = Path(f"/proc/{daemon.pid}/comm").read_text()
    found = [re.search(r"^voluntary_ctxt_switches:\s+(\d+)", task, re.MULTILINE) for task in tasks if name in task]
    return sum(int(line[1]) for line in found if line)


def is_idle(daemon: Process, limit: float) -> bool:
    """Tell whether it wakes up at most so often a second, over some seconds."""
    begun, before = time.monotonic(), wake_ups(daemon)
    time.sleep(SECONDS)
    return wake_ups(daemon) - before <= limit * (time.monotonic() - begun)


@pytest.mark.parametrize(
    ("version", "limit"), [(kuma("2.14.3"), OURS), (EVERYTHING, OURS + COMPLETION_QUEUE)], ids=["HTTP", "gRPC"]
)
def test_threads_rarely_wake_up_while_a_client_keeps_its_connection(
    tmp_path: Path, version: KumaVersion, limit: float
) -> None:
    with SimulatedControlPlane(World([Dataplane("a")]), line=version) as plane:
        arguments = (f"--cp-address={plane.url}", f"--output-file={tmp_path}/targets.json")
        with kuma_sd("run", *arguments, "--web-listen-address=127.0.0.1:0") as daemon:
            address = re.search(r"http://\S+?/", daemon.wait_for_line('msg="listening"'))
            daemon.wait_for_line("published")
            assert address
            # As Prometheus does between two scrapes; the daemon closes it only after 75 s.
            client = HTTPConnection(urlsplit(address[0]).netloc)
            client.request("GET", "/metrics")
            assert client.getresponse().read()
            eventually(lambda: is_idle(daemon, limit), "it is idle after its start", patience=60)
            client.close()
