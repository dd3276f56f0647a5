"""What an operator asks first, of a daemon that really runs."""

import json
import threading
from pathlib import Path

import msgspec
import pytest
from daemon_in_process import observed
from waiting import eventually

from kuma_sd import OutputError, SourceError
from kuma_sd.runtime import stuck_threads
from kuma_sd.service.status_line import status_line
from kuma_sd.telemetry.status import Status
from kuma_sd.telemetry.top_counts import Count
from kuma_sd.testing import assignment

TWO = ("--cp-address=east=grpc://192.0.2.1", "--cp-address=west=grpc://192.0.2.2", "--output=told")


def test_before_anything_came_it_is_healthy_and_says_what_it_waits_for(tmp_path: Path) -> None:
    with observed(tmp_path) as one:
        status = one.collector.status()
        assert status.unhealthy == ()
        reason = "nothing to publish yet: control plane grpc://********@192.0.2.1:5676: no answer yet"
        assert status.unready == (f"output told: {reason}",)
        (plane,) = status.control_planes
        assert (plane.source.connected, plane.source.last_response, plane.source.protocol, plane.assignments) == (
            False,
            None,
            "",
            0,
        )
        assert plane.age < 10
        (output,) = status.outputs
        assert (output.publishing.publications, output.publishing.last, output.groups, output.parts.meshes.top) == (
            0,
            None,
            0,
            (),
        )


def test_what_came_and_what_was_published_is_told(tmp_path: Path) -> None:
    with observed(tmp_path) as one:
        one.publish("a", assignment("b", mesh="payments", service="web"), assignment("c", service="web"))
        status = one.collector.status()
        assert status.unready == ()
        (plane,) = status.control_planes
        assert (plane.name, plane.plugin, plane.source.connected, plane.source.protocol, plane.source.why) == (
            *("", "grpc", True, "told"),
            "by a test",
        )
        assert (plane.connection.attempts, plane.connection.snapshots, plane.assignments, plane.restored) == (
            1,
            1,
            3,
            False,
        )
        assert (plane.age, plane.source.since is not None, plane.changed is not None) == (0, True, True)
        (output,) = status.outputs
        assert (
            output.plugin,
            output.publishing.publications,
            output.groups,
            output.size.targets,
            output.publishing.failures,
        ) == ("told", 1, 3, 3, 0)
        published = one.daemon.outputs["told"].status.published
        assert published is not None
        assert output.size.bytes == sum(len(group.json) for group in published.groups)
        assert output.parts.meshes.top == (Count("default", 2), Count("payments", 1))
        assert output.parts.services.top == (
            *(Count("backend", 1, "default"), Count("web", 1, "default")),
            Count("web", 1, "payments"),
        )
        assert sum(output.publishing.seconds.counts) == 1
        assert status.rounds == 1
        assert status.assignments == 3


def test_targets_of_a_removed_control_plane_are_counted_while_they_stay(tmp_path: Path) -> None:
    with observed(tmp_path) as one:
        one.publish("a", "b")
        # The new one never answers.
        one.daemon.reload(one.settings("--cp-address=new=grpc://192.0.2.9", "--output=told"))
        eventually(lambda: one.collector.status().leaving != (), "the removed one is leaving")
        assert one.collector.status().assignments == 2
        assert status_line(one.daemon) == "2 targets; 0 of 1 control planes connected"


def test_no_password_is_in_it_and_json_brings_it_back(tmp_path: Path) -> None:
    with observed(tmp_path) as one:
        one.publish("a")
        text = msgspec.json.encode(one.collector.status())
        assert b"secret" not in text
        assert msgspec.json.encode(msgspec.json.decode(text, type=Status)) == text
        json.loads(text)


def test_a_lost_control_plane_is_told_with_the_reason(tmp_path: Path) -> None:
    with observed(tmp_path) as one:
        one.publish("a")
        one.source.fail(SourceError("it is on fire"))
        eventually(lambda: one.collector.status().control_planes[0].failing, "the loss is noticed")
        (plane,) = one.collector.status().control_planes
        assert (plane.failing, plane.source.connected, plane.source.since, plane.assignments) == (
            "it is on fire",
            False,
            None,
            1,
        )
        assert one.collector.status().unhealthy == ()
        assert one.collector.status().unready == ()


def test_what_the_guard_holds_is_told_by_mesh_with_the_reason_and_until_when(tmp_path: Path) -> None:
    with observed(tmp_path) as one:
        one.publish("a", "b", assignment("c", mesh="payments"))
        one.source.send("a")
        eventually(lambda: one.collector.status().held, "the guard holds")
        (plane,) = one.collector.status().control_planes
        guard = plane.guard
        assert (guard.targets, guard.engaged) == (2, 1)
        assert guard.meshes.top == (Count("default", 1), Count("payments", 1))
        assert guard.why == "2 of 3 vanished"
        assert plane.held_until is not None
        assert 0 < plane.held_until - one.collector.status().now <= 120
        one.daemon.accept(None)
        eventually(lambda: not one.collector.status().held, "it lets go")
        (released,) = one.collector.status().control_planes
        assert (released.guard.why, released.held_until, released.guard.engaged) == ("", None, 1)


def test_what_is_held_until_somebody_accepts_has_no_end(tmp_path: Path) -> None:
    with observed(tmp_path, "--cp-address=grpc://192.0.2.1", "--output=told", "--guard-hold=forever") as one:
        one.publish("a", "b")
        one.source.send("b", complete=False)
        eventually(lambda: one.collector.status().held, "the guard holds")
        assert one.collector.status().control_planes[0].held_until is None


def test_a_failing_output_is_told_and_is_not_the_death_of_the_daemon(tmp_path: Path) -> None:
    with observed(tmp_path) as one:
        one.output.problem = OutputError("the disk is full")
        one.source.send("a")
        eventually(lambda: one.collector.status().outputs[0].publishing.failures, "it fails")
        status = one.collector.status()
        assert status.outputs[0].publishing.failing == "the disk is full"
        assert status.unready == ("output told: the disk is full",)
        assert status.unhealthy == ()
        one.output.problem = None
        eventually(lambda: not one.collector.status().unready, "it is ready")
        assert one.collector.status().outputs[0].publishing.failing == ""


def test_a_blocked_output_is_told_and_is_not_the_death_of_the_daemon(tmp_path: Path) -> None:
    with observed(tmp_path) as one:
        one.output.access_control.clear()
        one.source.send("a")
        eventually(lambda: one.collector.status().outputs[0].busy > 0, "it is busy")
        assert one.collector.status().unhealthy == ()
        one.output.access_control.set()
        eventually(lambda: one.collector.status().outputs[0].publishing.publications, "it has published")
        assert one.collector.status().outputs[0].busy == 0


def test_a_target_that_cannot_be_converted_is_named_with_the_reason(tmp_path: Path) -> None:
    with observed(tmp_path, "--cp-address=grpc://192.0.2.1", "--output=told", "--max-labels=2") as one:
        one.publish(assignment("a", labels={}), assignment("bad", labels={"a": "1", "b": "2", "c": "3"}))
        (output,) = one.collector.status().outputs
        assert (output.groups, output.chain.quarantined) == (1, 1)
        (bad,) = output.chain.quarantine
        assert (bad.mesh, bad.name) == ("default", "bad")
        assert "more than max-labels (2)" in bad.why


def test_repaired_and_colliding_labels_are_counted(tmp_path: Path) -> None:
    with observed(tmp_path) as one:
        one.publish(assignment("a", labels={"k8s/app": "x", "k8s-app": "y", "1st": "z"}))
        (output,) = one.collector.status().outputs
        assert (output.chain.labels_repaired, output.chain.labels_collided) == (2, 1)


def test_after_a_restart_targets_are_restored_until_the_control_plane_answers(tmp_path: Path) -> None:
    with observed(tmp_path) as one:
        one.publish("a")
    with observed(tmp_path) as one:
        eventually(lambda: not one.collector.status().unready, "what was saved is published")
        status = one.collector.status()
        assert status.control_planes[0].restored
        assert sum(status.outputs[0].publishing.seconds.counts) == 0, "no response was waited for"
        changed = status.control_planes[0].changed
        one.source.send("a")
        eventually(lambda: not one.collector.status().control_planes[0].restored, "it answered")
        assert one.collector.status().control_planes[0].changed == changed, "the same targets are no change"


def test_several_control_planes_and_outputs_are_told_in_order(tmp_path: Path) -> None:
    with observed(tmp_path, *TWO, "--output=other=told") as one:
        status = one.collector.status()
        assert [plane.title for plane in status.control_planes] == ["east", "west"]
        assert [output.name for output in status.outputs] == ["told", "other"]


def test_a_reload_is_counted_and_what_it_removes_is_not_told_any_more(tmp_path: Path) -> None:
    with observed(tmp_path, *TWO) as one:
        one.collector.reloaded("line 3: no")
        failed = one.collector.status().reloads
        assert (failed.count, failed.failures, failed.failing) == (1, 1, "line 3: no")
        one.daemon.reload(one.settings("--cp-address=east=grpc://192.0.2.1", "--output=new=told"))
        one.collector.reloaded()
        status = one.collector.status()
        assert (status.reloads.count, status.reloads.failures, status.reloads.failing) == (2, 1, "")
        assert status.reloads.succeeded == status.reloads.last
        assert [plane.name for plane in status.control_planes] == ["east"]
        assert [output.name for output in status.outputs] == ["new"]


def test_what_plugins_report_is_told_and_a_report_that_raises_costs_only_itself(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> dict[str, str]:
        raise KeyError("role")

    with observed(tmp_path) as one:
        one.output.context.report(lambda: {"role": "leader"})
        one.output.context.report(broken)
        one.source.context.report(lambda: {"replica": "2"})
        for _ in range(2):
            status = one.collector.status()
        assert status.outputs[0].facts == {"role": "leader"}
        assert status.control_planes[0].facts == {"replica": "2"}
        assert [record.message for record in caplog.records if "cannot report" in record.message] == [
            'a plugin cannot report its status plugin="output told" reason="KeyError: \'role\'"'
        ]


def test_every_instance_may_report_facts_and_is_told_of_an_acceptance(tmp_path: Path) -> None:
    with observed(tmp_path, "--cp-address=east=grpc://192.0.2.1", "--output=out=told", "--transform=in=told") as one:
        contexts = [one.source.context, one.told.transforms["in"], one.output.context]
        for context in contexts:
            context.report(lambda name=context.name: {"name": name})  # type: ignore[misc] # (mypy sees no default)
            context.on_accept(lambda: ["done"])
        status = one.collector.status()
        assert status.control_planes[0].facts == {"name": "east"}
        assert status.outputs[0].facts == {"name": "out", "in name": "in"}
        assert one.daemon.accept("in") == ["transform in: done"]
        assert one.daemon.accept("east") == ["east: releasing 0 held targets", "source east: done"]
        assert one.daemon.accept(None)[1:] == ["source east: done", "output out: done", "transform in: done"]
        with pytest.raises(KeyError):
            one.daemon.accept("none")


def test_threads_of_ours_that_do_not_move_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with observed(tmp_path) as one:
        one.publish("a")
        assert one.collector.status().unhealthy == ()
        monkeypatch.setattr(stuck_threads, "STUCK_SECONDS", -1.0)
        named = [problem.split(":")[0] for problem in one.collector.status().unhealthy]
        assert sorted(named) == ["main thread", "observer", "pipeline"]


def test_a_pipeline_that_is_busy_for_too_long_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with observed(tmp_path) as one:
        hold, release = threading.Event(), threading.Event()

        def block(_now: float) -> None:
            hold.set()
            release.wait(10)

        monkeypatch.setattr(one.daemon.pipeline.control_planes, "tick", block)
        one.daemon.accept(None)
        assert hold.wait(10)
        beat = one.daemon.pipeline.status.beat
        one.daemon.accept(None)
        assert one.daemon.pipeline.status.beat == beat
        release.set()
        eventually(lambda: one.daemon.pipeline.status.beat > beat, "it goes on")


def test_looking_notes_what_was_published(tmp_path: Path) -> None:
    with observed(tmp_path) as one:
        one.collector.look()
        assert not one.collector.history.recent
        one.publish("a", "b")
        one.collector.look()
        one.publish("b", "c", assignment("d"))
        one.collector.look()
        series = one.collector.history.series("told")
        assert [point.groups for point in series.hour] == [2, 3]
        assert [(change.added, change.removed) for change in one.collector.history.recent] == [(2, 1), (2, 0)]


def test_the_thread_looks_until_it_is_closed(tmp_path: Path) -> None:
    with observed(tmp_path) as one:
        one.publish("a")
        one.daemon.threads.start("observer", one.collector)
        eventually(lambda: one.collector.history.recent, "it looked")
