"""Change the number of parts from 16 to 64 and back under a real Prometheus, while dataplanes come, go and change.

Prometheus is configured for the new number minutes after kuma-sd is, as people do. Twice a second, all that it has at
/api/v1/targets is compared with the dataplanes that last. Exits with 1 if one was ever missing.

    script/bench parts --rounds=3 --late=3m
"""

import argparse
import contextlib
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import processes
from churn import Churn, configure, divide, found_by, reload
from daemon_process import kuma_sd
from processes import Process
from prometheus import Prometheus, prometheus
from waiting import eventually

from kuma_sd.cli.main import argument_type
from kuma_sd.core.option_types import DURATION
from kuma_sd.simulator import Dataplane, World
from kuma_sd.testing import control_plane

FEW, MANY = 16, 64

PATIENCE = 120.0
"""Maximum wait for a line of log beside the waits that are asked for, in seconds."""


def main() -> None:
    """Run the rounds, and print what was missing."""
    parser = argparse.ArgumentParser("script/bench parts", description=__doc__)
    parser.add_argument("--targets", type=int, default=2_000, help="how many last (default: 2000)")
    parser.add_argument("--rounds", type=int, default=3, help="how often the number changes and back (default: 3)")
    parser.add_argument(
        "--late", type=argument_type(DURATION), default="2m", help="when Prometheus is configured (default: 2m)"
    )
    arguments = parser.parse_args()
    processes.PATIENCE = PATIENCE + 2 * arguments.late
    names = [f"lasting-{number}" for number in range(arguments.targets)]
    passing = [Dataplane(f"passing-{number}", address=f"127.1.0.{number}:1") for number in range(100)]
    with tempfile.TemporaryDirectory() as name, _running(Path(name), names, arguments.late) as (world, daemon, server):
        eventually(lambda: found_by(server) >= set(names), "all targets are discovered", PATIENCE)
        with Churn(world, server, names, passing) as churn:
            for number in range(arguments.rounds):
                _there_and_back(Path(name), daemon, server, arguments.late)
                print(f"round {number + 1}: {churn.looks} looks, {len(churn.missing)} with targets missing", flush=True)
    for missing in churn.missing:
        print(f"after {missing.seconds:.0f} s: {len(missing.names)} were missing, like {min(missing.names)}")
    sys.exit(bool(churn.missing))


def _there_and_back(folder: Path, daemon: Process, server: Prometheus, late: float) -> None:
    settings, config = folder / "kuma-sd.conf", folder / "prometheus.yml"
    for parts in (MANY, FEW):
        divide(daemon, settings, parts)
        time.sleep(late)
        configure(config, settings)
        reload(server, parts)
        if parts > FEW:
            daemon.wait_for_line(f'targets left the old parts" parts={parts}')
        time.sleep(late)


@contextlib.contextmanager
def _running(folder: Path, names: list[str], late: float) -> Iterator[tuple[World, Process, Prometheus]]:
    lasting = [Dataplane(name, address=f"127.2.{number >> 8}.{number & 255}:1") for number, name in enumerate(names)]
    settings, config = folder / "kuma-sd.conf", folder / "prometheus.yml"
    with control_plane(*lasting) as kuma:
        settings.write_text(
            f"[kuma-sd]\ncp-address = {kuma.url}\nguard-hold = 0\n[file_sd]\n"
            f"path = {folder}/sd/{{part}}/kuma.json\nparts-overlap = {2 * late:.0f}s\nparts = {FEW}\n"
        )
        with kuma_sd("run", "-c", settings) as daemon:
            daemon.wait_for_line("published")
            configure(config, settings)
            with prometheus(config) as server:
                yield kuma.world, daemon, server


if __name__ == "__main__":
    main()
