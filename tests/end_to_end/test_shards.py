import json
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from daemon_process import kuma_sd
from processes import Process
from prometheus import needs_prometheus, prometheus, write_config
from waiting import eventually

from kuma_sd.simulator import Dataplane
from kuma_sd.testing import control_plane, group, publication
from kuma_sd_bundled.file_sd import FileSD, FileSDOptions

pytestmark = pytest.mark.timeout(120)

SHARDS = 3

# What people have in each of their servers when Prometheus divides the targets itself.
JOB = """
  - job_name: shard-{0}
    file_sd_configs: [{{files: [{1}]}}]
    relabel_configs:
      - {{source_labels: [{2}], modulus: {3}, target_label: __tmp_hash, action: hashmod}}
      - {{source_labels: [__tmp_hash], regex: "{0}", action: keep}}"""


def write(path: Path, **options: Any) -> None:
    groups = [
        group(
            f"b-{number:03}", address=f"127.0.0.1:{number}", labels={"team": f"Straße {number % 40}"} if number else {}
        )
        for number in range(300)
    ]
    output = FileSD(FileSDOptions(path=path, **options))
    output.start()
    output.publish(publication(*groups))
    output.close()


def addresses(path: Path) -> list[str]:
    return sorted(address for load in json.loads(path.read_bytes()) for address in load["targets"])


def kept_by_promtool(config: Path) -> list[list[str]]:
    """Return the addresses that Prometheus keeps in each job."""
    calls = [
        subprocess.Popen(
            ["promtool", "check", "service-discovery", "--timeout=1s", config, f"shard-{number}"],
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(SHARDS)
    ]
    told = [json.loads(call.communicate(timeout=60)[0] or "[]") or [] for call in calls]
    return [sorted(case["labels"]["__address__"] for case in each if case["labels"]) for each in told]


@needs_prometheus
@pytest.mark.parametrize("by", ["__address__", "team"])
def test_hashmod_shards_are_what_prometheus_keeps_with_the_usual_two_rules(tmp_path: Path, by: str) -> None:
    write(tmp_path / "whole.json")
    write(tmp_path / "kuma-{shard}.json", shards=SHARDS, shard_by=by)
    config = tmp_path / "prometheus.yml"
    jobs = "".join(JOB.format(number, tmp_path / "whole.json", by, SHARDS) for number in range(SHARDS))
    config.write_text(f"scrape_configs:{jobs}")
    ours = [addresses(tmp_path / f"kuma-{number}.json") for number in range(SHARDS)]
    # promtool tells what it found in a second, which on a busy machine may be nothing yet.
    eventually(lambda: kept_by_promtool(config) == ours, "Prometheus keeps the same")


def names(paths: list[Path]) -> Counter[str]:
    present = [path for path in paths if path.exists()]
    return Counter(load["labels"]["dataplane"] for path in present for load in json.loads(path.read_bytes()))


def reload(daemon: Process, config: Path, text: str) -> None:
    config.write_text(text)
    daemon.signal(signal.SIGHUP)
    daemon.wait_for_line("reloaded the settings")


@needs_prometheus
def test_shards_grow_and_shrink_under_running_servers_without_losing_a_target(tmp_path: Path) -> None:
    directory, config = tmp_path / "sd", tmp_path / "kuma-sd.conf"
    paths = [directory / f"kuma-{number}.json" for number in range(3)]
    dataplanes = [Dataplane(f"b-{number:02}", address=f"127.0.0.1:{number + 1}") for number in range(20)]
    once = Counter(dataplane.name for dataplane in dataplanes)
    directory.mkdir()
    with control_plane(*dataplanes) as kuma:
        settings = (
            f"[kuma-sd]\ncp-address = {kuma.url}\nguard-hold = 0\n[file_sd]\n"
            f"path = {directory}/kuma-{{shard}}.json\nshard-method = consistent\nshards = "
        )
        config.write_text(f"{settings}2\n")
        with kuma_sd("run", "-c", config) as daemon:
            daemon.wait_for_line("published")
            assert names(paths[:2]) == once
            # The third server runs before there is a file for it.
            with prometheus(write_config(tmp_path, *paths)) as server:
                reload(daemon, config, f"{settings}3\n")
                eventually(lambda: paths[2].exists() and names(paths) == once, "the targets are divided by three")
                eventually(
                    lambda: (
                        sorted(len(server.discovered(path)) for path in paths)
                        == sorted(len(json.loads(path.read_bytes())) for path in paths)
                    ),
                    "each server discovers its shard",
                )
            third = paths[2].read_bytes()
            config.write_text(f"{settings}2\n")
            daemon.signal(signal.SIGHUP)
            assert f"shards=2 files={paths[2]}" in daemon.wait_for_line("more shards than are written")
            eventually(lambda: names(paths[:2]) == once, "the targets are divided by two")
            assert paths[2].read_bytes() == third


def test_one_change_replaces_the_file_of_its_shard_alone(tmp_path: Path) -> None:
    dataplanes = [Dataplane(f"b-{number:02}", address=f"127.0.0.1:{number + 1}") for number in range(40)]
    path = tmp_path / "kuma-{shard}.json"
    with (
        control_plane(*dataplanes) as kuma,
        kuma_sd("run", f"--cp-address={kuma.url}", f"--file-sd-path={path}", "--file-sd-shards=4") as daemon,
    ):
        daemon.wait_for_line("published")
        files = [tmp_path / f"kuma-{number}.json" for number in range(4)]
        before = [file.stat().st_ino for file in files]
        kuma.world.alter("b-07", service="other")
        eventually(lambda: any(b'"other"' in file.read_bytes() for file in files), "the change is published")
        assert sum(file.stat().st_ino != inode for file, inode in zip(files, before, strict=True)) == 1
