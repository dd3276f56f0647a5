"""A set larger than max-message-size is refused with one line, and the targets from before stay."""

from pathlib import Path

import pytest
from daemon_process import kuma_sd

from kuma_sd.simulator import EVERYTHING, Dataplane, KumaVersion, SimulatedControlPlane, World, kuma


@pytest.mark.parametrize("line", [EVERYTHING, kuma("2.14.3")], ids=["gRPC", "HTTP"])
def test_a_set_that_is_too_large_is_refused_and_the_old_targets_stay(line: KumaVersion, tmp_path: Path) -> None:
    path = tmp_path / "targets.json"
    small, large = ([Dataplane(f"backend-{number}") for number in range(count)] for count in (20, 1000))
    with SimulatedControlPlane(World(small), refresh=0, line=line) as plane:
        flags = [f"--cp-address={plane.url}", f"--output-file={path}", "--max-message-size=16KiB"]
        with kuma_sd("run", *flags) as daemon:
            daemon.wait_for_line("targets=20")
            before = path.read_bytes()
            plane.world.replace(large)
            refusal = daemon.wait_for_line("larger than max-message-size")
            assert "the response is larger than max-message-size (16KiB), raise it" in refusal
            daemon.stop()
            assert daemon.output.count("larger than max-message-size") == 1
            assert path.read_bytes() == before
