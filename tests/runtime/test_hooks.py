"""Hooks of plugins in a running daemon: what they hear, and that nothing waits for them."""

import threading
from collections.abc import Iterable
from pathlib import Path

import pytest
from daemon_in_process import observed
from settings_kit import settings_of
from waiting import eventually

from kuma_sd import Change, Labels, Publication, SourceError, hookimpl
from kuma_sd.explain import ExplainInputs, answer, parse_selector
from kuma_sd.plugin.manager import Plugins
from kuma_sd.runtime import stuck_threads
from kuma_sd.runtime.builder import build
from kuma_sd.settings.model import Settings
from kuma_sd.testing import assignment, snapshot

PLUGINS = Plugins()
ONE = "--cp-address=grpc://192.0.2.1:5676", "--output=told", "--plugins=mine"


class Hears:
    """Remembers what it hears."""

    def __init__(self) -> None:
        self.events: list[str] = []

    @hookimpl
    def kuma_sd_started(self, control_planes: Iterable[str], outputs: Iterable[str]) -> None:
        self.events.append(f"started {[*control_planes]} {[*outputs]}")

    @hookimpl
    def kuma_sd_connected(self, control_plane: str, protocol: str) -> None:
        self.events.append(f"connected {control_plane} {protocol}")

    @hookimpl
    def kuma_sd_connection_lost(self, control_plane: str, reason: str) -> None:
        self.events.append(f"lost {control_plane}: {reason}")

    @hookimpl
    def kuma_sd_published(self, output: str, publication: Publication, change: Change) -> None:
        self.events.append(f"published {output}: {len(publication.groups)}, {change}")

    @hookimpl
    def kuma_sd_stopping(self) -> None:
        self.events.append("stopping")

    def wait_for(self, event: str) -> None:
        eventually(lambda: event in self.events, event)


def test_a_plugin_hears_what_happens_from_the_start_to_the_end(tmp_path: Path) -> None:
    hears = Hears()
    with observed(tmp_path, *ONE, hooks=hears) as daemon:
        daemon.publish("a", "b")
        daemon.publish("a", "b", "c")
        daemon.source.fail(SourceError("refused"))
        hears.wait_for("lost grpc://192.0.2.1:5676: refused")
    assert hears.events[:1] == ["started ['grpc://192.0.2.1:5676'] ['told']"]
    assert hears.events[-1:] == ["stopping"]
    assert {
        "connected grpc://192.0.2.1:5676 told",
        "published told: 2, 2 added, 0 removed, 0 changed",
        "published told: 3, 1 added, 0 removed, 0 changed",
    } <= set(hears.events)


def test_a_reload_adds_and_removes_listeners(tmp_path: Path) -> None:
    hears = Hears()
    with observed(tmp_path, *ONE[:2], hooks=hears) as daemon:
        daemon.publish("a")
        daemon.daemon.reload(daemon.settings(*ONE))
        daemon.publish("a", "b")
        # What was published before it listened is no news.
        hears.wait_for("published told: 2, 1 added, 0 removed, 0 changed")
        daemon.daemon.reload(daemon.settings(*ONE[:2]))
        daemon.publish("a", "b", "c")
    assert len(hears.events) == 1


class Blocks:
    def __init__(self) -> None:
        self.began = threading.Event()
        self.end = threading.Event()

    @hookimpl
    def kuma_sd_published(self) -> None:
        self.began.set()
        self.end.wait(60)


class Adds:
    @hookimpl
    def kuma_sd_transform(self, labels: Labels) -> Iterable[Labels]:
        return [labels | {"by": "mine"}]


def test_the_status_names_it_among_the_transforms(tmp_path: Path) -> None:
    with observed(tmp_path, *ONE, hooks=Adds()) as daemon:
        daemon.publish("a")
        assert daemon.collector.status().outputs[0].transforms == ("mine",)


def test_a_hook_that_blocks_delays_no_publication_and_is_left_behind_at_the_end(tmp_path: Path) -> None:
    blocks = Blocks()
    with observed(tmp_path, *ONE, hooks=blocks, stuck=["events"]) as daemon:
        daemon.publish("a")
        assert blocks.began.wait(30)
        daemon.publish("a", "b")
        daemon.publish("a", "b", "c")
    blocks.end.set()


ADDS = """
from kuma_sd import hookimpl

CALLS = []

@hookimpl
def kuma_sd_transform(labels, target):
    CALLS.append(target.name)
    return [labels | {"by": "mine", "was": labels.get("site", "")}]
"""


def with_hook(directory: Path, *flags: str, source: str = ADDS) -> Settings:
    """Return settings with the bundled plugins and a plugin file."""
    directory.chmod(0o755)
    (directory / "mine.py").write_text(source)
    (directory / "mine.py").chmod(0o644)
    return settings_of(f"--plugin-file={directory}/mine.py", *flags, plugins=PLUGINS)


@pytest.mark.timeout(300)
def test_one_change_of_100_000_costs_one_call_of_a_hook_that_transforms(tmp_path: Path) -> None:
    settings = with_hook(tmp_path)
    ((_, chain),) = build(settings).chains
    assignments = [assignment(f"backend-{number:06}") for number in range(100_000)]
    calls = vars(settings.plugins.manager.get_plugin("mine"))["CALLS"]
    publication = chain.publication(assignments, 1.0)
    assert len(calls) == len(publication.groups) == 100_000
    assignments[500] = assignment("backend-000500", service="other")
    changed = chain.publication(assignments, 2.0)
    assert calls[100_000:] == ["backend-000500"]
    assert len(changed.since(publication).changed) == 1


def test_a_hook_transforms_for_all_outputs_after_the_transforms_of_the_settings(tmp_path: Path) -> None:
    flags = (
        "--output=file_sd",
        "--output=http_sd",
        "--transform=labels",
        "--labels-add=site=east",
        "--http-sd-transform=",
    )
    components = build(with_hook(tmp_path, *flags))
    assert [
        [group.labels.get("was", "") for group in chain.publication([assignment("a")], 1.0).groups]
        for _, chain in components.chains
    ] == [["east"], [""]]


def test_a_chain_stays_as_long_as_the_hooks_are_the_same(tmp_path: Path) -> None:
    before = build(with_hook(tmp_path))
    same = build(with_hook(tmp_path), before)
    other = build(with_hook(tmp_path, source=f"{ADDS}# edited"), same)
    chains = [components.chains[0][1] for components in (before, same, other)]
    assert chains[0] is chains[1] is not chains[2]


def test_explain_shows_the_hook_as_a_step_with_the_name_of_the_plugin(tmp_path: Path) -> None:
    components = build(with_hook(tmp_path))
    inputs = ExplainInputs.of_snapshots(components, [snapshot("a")])
    (explanation,) = answer(inputs, parse_selector("a"), "", 1).targets
    (step,) = [step for trace in explanation.chains[0].traces for step in trace.steps if step.name == "mine"]
    assert str(step).startswith("mine (kuma_sd_transform)")
    assert step.added == {"by": "mine"}


def test_a_transform_that_blocks_the_pipeline_is_named_with_its_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered, release = threading.Event(), threading.Event()

    class Blocks:
        @hookimpl
        def kuma_sd_transform(self, labels: Labels) -> list[Labels]:
            entered.set()
            release.wait(30)
            return [labels]

    with observed(tmp_path, *ONE, hooks=Blocks()) as daemon:
        daemon.source.send("a")
        try:
            assert entered.wait(10)
            monkeypatch.setattr(stuck_threads, "STUCK_SECONDS", -1.0)
            (stuck,) = (reason for reason in daemon.collector.status().stuck if reason.startswith("pipeline"))
        finally:
            release.set()
        assert "; it is in test_hooks.py, line " in stuck
