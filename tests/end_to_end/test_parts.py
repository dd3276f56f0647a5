"""The number of parts changes under a running Prometheus, while dataplanes come, go and change."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from churn import Churn, configure, divide, found_by, reload
from daemon_process import kuma_sd
from processes import Process
from prometheus import needs_prometheus, prometheus
from waiting import eventually

from kuma_sd.simulator import Dataplane, World
from kuma_sd.testing import control_plane

pytestmark = pytest.mark.timeout(300)

LASTING = [f"lasting-{number:03}" for number in range(150)]
PASSING = [f"passing-{number:03}" for number in range(50)]


def dataplane(name: str) -> Dataplane:
    return Dataplane(name, address=f"127.0.0.1:{(LASTING + PASSING).index(name) + 1}")


@contextmanager
def running(directory: Path, settings: Path) -> Iterator[tuple[World, Process]]:
    with control_plane(*map(dataplane, LASTING)) as kuma:
        settings.write_text(
            f"[kuma-sd]\ncp-address = {kuma.url}\nguard-hold = 0\nmin-interval = 100ms\n[file_sd]\n"
            f"path = {directory}/sd/{{part}}/kuma.json\nparts-overlap = 15s\nparts = 16\n"
        )
        with kuma_sd("run", "-c", settings) as daemon:
            daemon.wait_for_line("published")
            yield kuma.world, daemon


@needs_prometheus
def test_no_target_is_ever_missing_while_16_parts_become_64_and_16_again(tmp_path: Path) -> None:
    settings, config = tmp_path / "kuma-sd.conf", tmp_path / "prometheus.yml"
    with running(tmp_path, settings) as (world, daemon):
        configure(config, settings)
        with prometheus(config) as server:
            eventually(lambda: found_by(server) >= set(LASTING), "all targets are discovered")
            with Churn(world, server, LASTING, [dataplane(name) for name in PASSING]) as churn:
                time.sleep(2)
                divide(daemon, settings, 64)
                time.sleep(3)
                configure(config, settings)
                reload(server, 64)
                daemon.wait_for_line('targets left the old parts" parts=64')
                time.sleep(2)
                divide(daemon, settings, 16)
                # Half a minute later the others are empty; Prometheus reads them all the time.
                time.sleep(10)
                daemon.wait_for_line('targets left the old parts" parts=16')
                time.sleep(2)
                configure(config, settings)
                reload(server, 16)
                time.sleep(2)
            assert churn.missing == []
            assert churn.looks > 20
    others = [tmp_path / "sd" / str(part) / "kuma.json" for part in range(16, 64)]
    assert {path.read_bytes() for path in others} == {b"[]\n"}


def test_run_once_with_fewer_parts_says_that_a_later_run_empties_the_others_which_it_does(tmp_path: Path) -> None:
    files = tmp_path / "sd" / "{part}" / "kuma.json"
    (record, removed) = (tmp_path / "sd/.kuma-sd/{part}_kuma.json.parts", tmp_path / "sd/1/kuma.json")
    with control_plane(*map(dataplane, LASTING)) as kuma:

        def run_once(parts: int) -> str:
            flags = [f"--cp-address={kuma.url}", f"--file-sd-path={files}", f"--file-sd-parts={parts}"]
            with kuma_sd("run", "--once", *flags) as program:
                assert program.wait() == 0, program.output
                return program.output

        run_once(2)
        before = removed.read_bytes()
        assert "a kuma-sd that runs then or later empties these" in run_once(1)
        assert removed.read_bytes() == before != b"[]\n"
        # As if the 30 seconds were over.
        record.write_text('{"parts": 1, "former": {"2": 0}}')
        assert "targets left the old parts" in run_once(1)
        assert removed.read_bytes() == b"[]\n"
