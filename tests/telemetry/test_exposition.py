"""The exposition, as Prometheus's own tool and parser read it."""

import re
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest
from daemon_in_process import Observed, observed
from prometheus import needs_prometheus
from prometheus_client import Gauge, Metric
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse
from prometheus_client.registry import Collector
from waiting import eventually

from kuma_sd import OutputError, SourceError
from kuma_sd.telemetry.exposition import Metrics
from kuma_sd.telemetry.metric_definitions import ALL
from kuma_sd.testing import assignment

ROOT = Path(__file__).parents[2]


def metrics_of(one: Observed) -> Metrics:
    return Metrics(lambda: one.collector.status(parts=False), lambda: one.daemon.components.collectors)


def samples(exposition: bytes) -> dict[str, float]:
    """Return the samples of our own metrics by their lines, without build_info, whose labels are the machine's."""
    return {
        sample.name + "".join(f" {name}={value}" for name, value in sorted(sample.labels.items())): sample.value
        for family in parse(exposition.decode())
        for sample in family.samples
    }


def check_with_promtool(exposition: bytes) -> None:
    checked = subprocess.run(["promtool", "check", "metrics"], input=exposition, capture_output=True, check=False)
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, b"")


PLANE = " control_plane=grpc://********@192.0.2.1:5676"


@needs_prometheus
def test_promtool_finds_nothing_to_say_whatever_the_state(tmp_path: Path) -> None:
    with observed(tmp_path) as one:
        metrics = metrics_of(one)
        check_with_promtool(metrics.exposition()[0])
        one.publish("a", "b")
        check_with_promtool(metrics.exposition()[0])
        one.source.send("a", complete=False)
        eventually(lambda: one.collector.status().held, "the guard holds")
        check_with_promtool(metrics.exposition()[0])
        one.output.problem = OutputError("the disk is full")
        one.source.send("a", "b", "c")
        one.source.fail(SourceError("gone"))
        eventually(lambda: one.collector.status().outputs[0].publishing.failing, "the output fails")
        one.collector.reloaded("line 3: no")
        check_with_promtool(metrics.exposition()[0])


def test_before_anything_came_times_that_never_were_are_not_there(tmp_path: Path) -> None:
    with observed(tmp_path) as one:
        found = samples(metrics_of(one).exposition()[0])
    assert found["kuma_sd_healthy"] == 1
    assert found["kuma_sd_ready"] == 0
    assert found[f"kuma_sd_control_plane_connected{PLANE}"] == 0
    assert found["kuma_sd_output_publications_total output=told"] == 0
    assert not [name for name in found if name.startswith("kuma_sd_control_plane_last_contact")]
    assert not [name for name in found if name.startswith("kuma_sd_control_plane_info")]
    assert not [name for name in found if name.startswith("kuma_sd_output_last_success")]


def test_every_state_has_its_numbers(tmp_path: Path) -> None:
    with observed(tmp_path) as one:
        one.publish("a", "b", assignment("c", labels={"k8s/app": "x", "k8s-app": "y"}))
        one.source.send("a", complete=False)
        eventually(lambda: one.collector.status().held, "the guard holds")
        one.output.problem = OutputError("the disk is full")
        one.source.send("a", "d")
        eventually(lambda: one.collector.status().outputs[0].publishing.failing, "the output fails")
        one.source.fail(SourceError("gone"))
        eventually(lambda: one.collector.status().control_planes[0].failing, "it is gone")
        one.collector.reloaded("line 3: no")
        found = samples(metrics_of(one).exposition()[0])
    expected = {
        "kuma_sd_ready": 1,
        "kuma_sd_config_last_reload_successful": 0,
        "kuma_sd_config_reloads_total": 1,
        "kuma_sd_config_reload_failures_total": 1,
        f"kuma_sd_control_plane_connected{PLANE}": 0,
        f"kuma_sd_control_plane_info{PLANE} protocol=told source=grpc": 1,
        f"kuma_sd_control_plane_assignments{PLANE}": 4,
        f"kuma_sd_control_plane_guard_engaged{PLANE}": 1,
        f"kuma_sd_control_plane_guard_held_targets{PLANE}": 2,
        f"kuma_sd_control_plane_guard_engagements_total{PLANE}": 1,
        "kuma_sd_output_failing output=told": 1,
        "kuma_sd_output_publications_total output=told": 1,
        "kuma_sd_output_groups output=told": 3,
        "kuma_sd_output_targets output=told": 3,
        "kuma_sd_output_repaired_labels_total output=told": 1,
        "kuma_sd_output_colliding_labels_total output=told": 1,
        "kuma_sd_output_latency_seconds_count output=told": 1,
        "kuma_sd_output_latency_seconds_bucket le=+Inf output=told": 1,
    }
    assert {name: found.get(name) for name in expected} == expected
    assert found["kuma_sd_output_failures_total output=told"] >= 1
    assert found["kuma_sd_output_bytes output=told"] > 100
    assert found["process_resident_memory_bytes"] > 1_000_000


def test_no_label_has_values_that_come_from_the_mesh(tmp_path: Path) -> None:
    with observed(tmp_path) as one:
        one.publish(assignment("dataplane-x", mesh="mesh-x", service="service-x"))
        assert b"-x" not in metrics_of(one).exposition()[0]


@pytest.mark.parametrize("version", ["x", "1..0", "", "9" * 5000])
def test_a_version_that_is_no_number_is_answered_as_if_none_was_asked_for(tmp_path: Path, version: str) -> None:
    with observed(tmp_path) as one:
        _, content_type = metrics_of(one).exposition(f"application/openmetrics-text;version={version}")
    assert content_type.startswith(("text/plain; version=", "application/openmetrics-text; version="))


def test_openmetrics_is_given_to_those_who_ask_for_it(tmp_path: Path) -> None:
    with observed(tmp_path) as one:
        one.publish("a")
        plain, plain_type = metrics_of(one).exposition("text/plain;version=0.0.4")
        modern, modern_type = metrics_of(one).exposition("application/openmetrics-text;version=1.0.0,*/*;q=0.1")
    assert plain_type.startswith("text/plain; version=")
    assert modern_type.startswith("application/openmetrics-text; version=1")
    assert modern.endswith(b"# EOF\n")
    read = parse_openmetrics(modern.decode())  # type: ignore[no-untyped-call]  # (prometheus_client's)
    assert {family.name for family in read} == {family.name for family in parse(plain.decode())}


class Broken(Collector):
    """Tells what cannot be shown."""

    def __init__(self, *families: Metric | Exception) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        for family in self._families:
            if isinstance(family, Exception):
                raise family
            yield family


def without_a_number() -> Metric:
    family = Metric("site_targets", "Targets.", "gauge")
    family.add_sample("site_targets", {"site": "a"}, None)  # type: ignore[arg-type]  # (the mistake)
    return family


def of_kuma_sd() -> Metric:
    family = Metric("kuma_sd_output_groups", "Groups.", "gauge")
    family.add_sample("kuma_sd_output_groups", {}, 1.0)
    return family


def test_instances_of_a_plugin_add_to_the_same_families(tmp_path: Path) -> None:
    with observed(tmp_path) as one:
        for name in ("a", "b"):
            gauge = Gauge("relay_lag_seconds", "How far behind it is.", ["output"], registry=None)
            gauge.labels(name).set(1.0)
            one.output.context.register(gauge)
        text, _ = metrics_of(one).exposition()
    assert text.count(b"# TYPE relay_lag_seconds gauge") == 1
    found = samples(text)
    assert found["relay_lag_seconds output=a"] == found["relay_lag_seconds output=b"] == 1.0


@pytest.mark.parametrize(
    ("collector", "reason"),
    [
        (Broken(RuntimeError("no")), "RuntimeError: no"),
        (Broken(without_a_number()), "TypeError"),
        (Broken(of_kuma_sd()), "kuma_sd_output_groups is a metric of kuma-sd itself"),
    ],
)
def test_a_plugin_whose_metrics_cannot_be_shown_costs_only_its_own(
    collector: Collector, reason: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with observed(tmp_path) as one:
        one.output.context.register(collector)
        metrics = metrics_of(one)
        for _ in range(2):
            assert samples(metrics.exposition()[0])["kuma_sd_healthy"] == 1
    (said,) = [record.message for record in caplog.records if "are left out" in record.message]
    assert reason in said


def test_each_metric_is_documented_and_no_other() -> None:
    documented = re.findall(
        r"^\| `(kuma_sd_\w+)` \| \w+ \| (.+?) \|$", (ROOT / "docs/metrics.md").read_text(), re.MULTILINE
    )
    assert [name for name, _ in documented] == [metric.full_name for metric in ALL]
    assert [text for _, text in documented] == [metric.help for metric in ALL]
