import json
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from daemon_process import kuma_sd
from prometheus import Prometheus, needs_prometheus, prometheus, promtool_accepts, write_config
from recordings import DATA, response
from waiting import eventually

from kuma_sd import Publication, TargetGroup
from kuma_sd.mads.decoder import Decoder
from kuma_sd.pipeline.chain import Chain
from kuma_sd.prometheus.label_profiles import LabelProfile
from kuma_sd.simulator import Dataplane
from kuma_sd.testing import control_plane, group
from kuma_sd_bundled.file_sd import FileSD, FileSDOptions

pytestmark = [needs_prometheus, pytest.mark.timeout(120)]

# What a configuration adds to each discovered target.
CONFIGURED = ("__scrape_interval__", "__scrape_timeout__", "__meta_filepath")

ODD = group(
    "odd-01",
    address="[2001:db8::1]:5670",
    labels={
        "escapes": "\x00\x01\x1f\t\n\r\x7f\x80\x85\x9f\u2028\u2029\ufeff\ufffd\ufffe\uffff\U0001f600\U0010ffff",
        "json": '{"a": [1, "b"]} \\ \\n / <>&',
        "yaml": "- a: {b: [c, *d, &e]} # ! | > % @ ` 'f' 0o7 1e3 yes null ~",
        "go_template": "{{ .Value }} ${1} $1",
    },
)


def written(directory: Path, groups: Sequence[TargetGroup]) -> tuple[Path, Path]:
    publication = Publication.of(groups, received=1.0)
    paths = (directory / "targets.json", directory / "targets.yml")
    for path in paths:
        output = FileSD(FileSDOptions(path=path))
        output.start()
        output.publish(publication)
        output.close()
    return paths


def expected(groups: Sequence[TargetGroup]) -> list[dict[str, str]]:
    return by_content([{"__address__": target_group.targets[0]} | target_group.labels for target_group in groups])


def by_content(label_sets: list[dict[str, str]]) -> list[dict[str, str]]:
    return sorted(label_sets, key=lambda labels: sorted(labels.items()))


def discovers(server: Prometheus, file: Path, count: int) -> Callable[[], bool]:
    return lambda: len(server.discovered(file)) == count


def names(server: Prometheus, file: Path) -> list[str]:
    return sorted(discovered_target["dataplane"] for discovered_target in server.discovered(file))


@pytest.mark.parametrize("recorded", ["kuma-1.2.3/grpc-v1-03.binpb", "kuma-2.6.15/http-v1-04.json"])
def test_it_accepts_both_files_and_discovers_exactly_those_labels(tmp_path: Path, recorded: str) -> None:
    assignments, _ = Decoder("").decode(response(DATA / recorded))
    groups = [*Chain(LabelProfile("both")).publication(assignments, received=1.0).groups, ODD]
    files = written(tmp_path, groups)
    config = write_config(tmp_path, *files)
    assert f"SUCCESS: {config} is valid" in promtool_accepts(config)
    with prometheus(config) as server:
        for file in files:
            eventually(discovers(server, file, len(groups)), "all is discovered")
            found = [
                {name: value for name, value in discovered_target.items() if name not in CONFIGURED}
                for discovered_target in server.discovered(file)
            ]
            assert by_content(found) == expected(groups)
        assert server.metric("prometheus_sd_file_read_errors_total") == 0


def test_it_follows_the_daemon_and_reads_the_file_once_a_change(tmp_path: Path) -> None:
    path = tmp_path / "sd" / "targets.json"
    with (
        control_plane("a", "b") as kuma,
        kuma_sd("run", f"--cp-address={kuma.url}", f"--output-file={path}", "--guard-hold=0") as daemon,
    ):
        daemon.wait_for_line("published")
        with prometheus(write_config(tmp_path, path)) as server:
            eventually(discovers(server, path, 2), "both targets are discovered")
            scans = server.metric("prometheus_sd_file_scan_duration_seconds_count")
            kuma.world.add(Dataplane("c"))
            eventually(discovers(server, path, 3), "the new target is discovered")
            kuma.world.remove("a")
            eventually(lambda: names(server, path) == ["b", "c"], "the removed target is gone")
            assert server.metric("prometheus_sd_file_scan_duration_seconds_count") - scans <= 4
            assert server.metric("prometheus_sd_file_read_errors_total") == 0


# As people write it for kuma_sd_configs.
RULES = """
      - {source_labels: [__meta_kuma_mesh], regex: "default|payments", action: keep}
      - {source_labels: [__meta_kuma_dataplane], target_label: dataplane}
      - {source_labels: [__meta_kuma_service, __meta_kuma_mesh], separator: "/", target_label: job}
      - {action: labelmap, regex: "__meta_kuma_label_(.+)"}
      - {action: labeldrop, regex: "kuma_io_.*s"}"""


def final_labels(config: Path, job: str) -> list[dict[str, str]]:
    """Return what the targets of a job have after relabelling."""
    told = subprocess.run(
        ["promtool", "check", "service-discovery", "--timeout=3s", config, job],
        capture_output=True,
        text=True,
        check=True,
    )
    labels: list[dict[str, str]] = [load["labels"] for load in json.loads(told.stdout)]
    assert labels
    return by_content([{name: value for name, value in label.items() if name != "__meta_filepath"} for label in labels])


def test_rules_written_for_kuma_sd_configs_give_the_same_targets_behind_our_file(tmp_path: Path) -> None:
    recorded = DATA / "kuma-2.6.15"
    assignments, _ = Decoder("").decode(response(recorded / "http-v1-04.json"))
    ours, _ = written(tmp_path, Chain(LabelProfile("kuma_sd_configs")).publication(assignments, 1.0).groups)
    native = tmp_path / "native.json"
    # What the scrape configuration added there is what it adds here.
    theirs = [
        {name: value for name, value in load.items() if name != "job" and "_histograms_" not in name}
        for load in json.loads((recorded / "native-http-v1-04.json").read_bytes())
    ]
    native.write_text(json.dumps([{"targets": [their.pop("__address__")], "labels": their} for their in theirs]))
    config = tmp_path / "prometheus.yml"
    job = "\n  - job_name: {0}\n    file_sd_configs: [{{files: [{1}]}}]\n    relabel_configs:{2}"
    config.write_text("scrape_configs:" + "".join(job.format(file.stem, file, RULES) for file in (ours, native)))
    assert final_labels(config, ours.stem) == final_labels(config, native.stem)
