import time

import pytest

from kuma_sd import SourceStatus
from kuma_sd.core.mailbox import Mailbox
from kuma_sd.core.model import Snapshot
from kuma_sd.core.publication import Publication
from kuma_sd.pipeline.chain import Chain
from kuma_sd.pipeline.control_plane import ControlPlane
from kuma_sd.pipeline.guard import Guard
from kuma_sd.pipeline.merge import SENDER, FirstPublication, Pipeline, Route
from kuma_sd.prometheus.label_profiles import LabelProfile
from kuma_sd.testing import assignment, snapshot


class Line:
    """A pipeline with one output, driven by hand; the clock starts at 0."""

    def __init__(self, *control_planes: str, start_wait: float = 30.0, guard_hold: float = 120.0) -> None:
        self.out: Mailbox[Publication] = Mailbox()
        self.route = Route(Chain(LabelProfile("kuma-prometheus-sd")), {"out": self.out})
        self.control_planes = {
            name: ControlPlane(name, Guard(name, hold=guard_hold), SourceStatus) for name in control_planes or [""]
        }
        self.pipeline = Pipeline(self.control_planes, [self.route], FirstPublication(0.0, start_wait, guard_hold))

    def step(self, *snapshots: Snapshot, now: float = 1.0) -> list[str] | None:
        """Return the names that are published in this step; None when nothing is."""
        self.pipeline.step({received.control_plane: received for received in snapshots}, now)
        published = self.out.take(0).get(SENDER)
        return names(published) if published else None


def names(published: Publication) -> list[str]:
    return [group.key.assignment.control_plane + group.key.assignment.name for group in published.groups]


def test_a_snapshot_becomes_a_publication() -> None:
    assert Line().step(snapshot("b", "a")) == ["a", "b"]


def test_control_planes_are_united_and_equal_names_are_both_kept() -> None:
    line = Line("east", "west")
    both = line.step(snapshot("a", "b", control_plane="west"), snapshot("a", control_plane="east"))
    assert both == ["easta", "westa", "westb"]


def test_one_control_plane_that_fails_never_touches_the_targets_of_another() -> None:
    line = Line("east", "west")
    line.step(snapshot("a", control_plane="west"), snapshot("a", control_plane="east"))
    assert line.step(snapshot("a", "b", control_plane="west")) == ["easta", "westa", "westb"]


def test_an_equal_publication_is_not_handed_on() -> None:
    line = Line()
    line.step(snapshot("a"))
    assert line.step(snapshot("a", received=2.0)) is None


def test_equal_key_with_other_bytes_is_a_change_not_a_loss() -> None:
    line = Line()
    line.step(snapshot("a", "b"))
    first = line.route.last
    line.step(snapshot("a", assignment("b", service="other")))
    change = line.route.last.since(first)  # type: ignore[union-attr]
    assert str(change) == "0 added, 0 removed, 1 changed"


def test_a_publication_superseded_before_it_was_taken_leaves_since_right() -> None:
    line = Line()
    line.pipeline.step({"": snapshot("a", "b", connected=-1000.0)}, 1.0)
    taken = line.out.take(0)[SENDER]
    line.pipeline.step({"": snapshot("b", connected=-1000.0)}, 2.0)
    line.pipeline.step({"": snapshot("b", "c", connected=-1000.0)}, 3.0)
    newest = line.out.take(0)[SENDER]
    assert str(newest.since(taken)) == "1 added, 1 removed, 0 changed"
    assert line.out.superseded == 1


def test_what_the_guard_holds_goes_when_its_time_comes() -> None:
    line = Line(guard_hold=120.0)
    line.step(snapshot("a", "b", "c", connected=-1000.0), now=1.0)
    assert line.step(snapshot(connected=-1000.0), now=2.0) is None
    assert line.pipeline._deadline(2.0) == 122.0
    assert line.step(now=122.0) == []


class TestTheFirstPublication:
    def test_never_goes_out_while_no_control_plane_has_a_snapshot(self) -> None:
        line = Line("east", "west")
        assert line.step(now=1000.0) is None

    def test_waits_for_every_control_plane(self) -> None:
        line = Line("east", "west")
        assert line.step(snapshot("a", control_plane="east"), now=1.0) is None
        assert line.step(snapshot("b", control_plane="west"), now=2.0) == ["easta", "westb"]

    def test_goes_out_after_start_wait_with_what_is_known(self) -> None:
        line = Line("east", "west", start_wait=30.0)
        assert line.step(snapshot("a", control_plane="east"), now=1.0) is None
        assert line.step(now=29.9) is None
        assert line.step(now=30.0) == ["easta"]

    def test_goes_out_with_the_first_snapshot_when_start_wait_is_over(self) -> None:
        line = Line("east", "west", start_wait=30.0)
        assert line.step(snapshot("a", control_plane="east"), now=100.0) == ["easta"]

    def test_holds_an_empty_first_snapshot_for_no_snapshot(self) -> None:
        line = Line(guard_hold=120.0)
        assert line.step(snapshot(), now=1.0) is None
        assert line.step(now=120.9) is None
        assert line.step(now=121.0) == []

    def test_goes_out_as_soon_as_an_empty_control_plane_is_filled(self) -> None:
        line = Line()
        assert line.step(snapshot(), now=1.0) is None
        assert line.step(snapshot("a"), now=2.0) == ["a"]

    def test_goes_out_without_a_control_plane_that_is_empty_after_start_wait(self) -> None:
        line = Line("east", "west", start_wait=30.0)
        assert line.step(snapshot(control_plane="east"), snapshot("b", control_plane="west"), now=1.0) is None
        assert line.step(now=30.0) == ["westb"]

    def test_is_looked_for_when_its_time_comes(self) -> None:
        line = Line("east", "west", start_wait=30.0)
        assert line.pipeline._deadline(1.0) == float("inf")
        line.step(snapshot("a", control_plane="east"), now=5.0)
        assert line.pipeline._deadline(5.0) == 30.0

    def test_goes_out_at_once_with_what_was_restored(self) -> None:
        line = Line("east", "west")
        line.control_planes["east"].restore(snapshot("a", control_plane="east"))
        assert line.step(now=0.0) is None
        line.control_planes["west"].restore(snapshot("b", control_plane="west"))
        assert line.step(now=0.0) == ["easta", "westb"]

    def test_holds_what_was_restored_when_the_control_plane_comes_back_empty(self) -> None:
        line = Line(guard_hold=120.0)
        line.control_planes[""].restore(snapshot("a", "b"))
        assert line.step(now=0.0) == ["a", "b"]
        assert line.step(snapshot(connected=1.0), now=2.0) is None
        assert line.step(now=122.0) == []

    def test_believes_an_empty_control_plane_that_somebody_accepts(self) -> None:
        line = Line()
        assert line.step(snapshot(), now=1.0) is None
        line.pipeline.step({"accept": lambda: line.control_planes[""].accept(1.0)}, 1.5)
        assert names(line.out.take(0)[SENDER]) == []


def test_accepting_publishes_what_the_control_plane_has() -> None:
    line = Line()
    line.step(snapshot("a", "b", "c", connected=-1000.0), now=1.0)
    assert line.step(snapshot("c", connected=-1000.0), now=2.0) is None
    line.pipeline.step({"accept": lambda: line.control_planes[""].accept(3.0)}, 3.0)
    assert names(line.out.take(0)[SENDER]) == ["c"]


def test_targets_of_a_control_plane_that_is_not_heard_expire_if_wanted() -> None:
    line = Line("east", "west")
    east = line.control_planes["east"]
    east.max_age = 60.0
    now = time.monotonic()
    east.contact = lambda: SourceStatus(connected=False, contact=now - 59.0)
    line.step(snapshot("a", control_plane="east"), snapshot("b", control_plane="west"), now=1.0)
    assert line.pipeline._deadline(1.0) == pytest.approx(2.0, abs=0.5)
    east.contact = lambda: SourceStatus(connected=False, contact=now - 61.0)
    assert line.step(now=2.0) == ["westb"]
    east.contact = lambda: SourceStatus(connected=True, contact=now)
    assert line.step(snapshot("a", control_plane="east"), now=3.0) == ["easta", "westb"]


def test_what_is_let_through_is_left_for_saving() -> None:
    saver: Mailbox[Snapshot] = Mailbox()
    line = Line()
    pipeline = Pipeline(line.control_planes, [line.route], FirstPublication(0.0, 30.0, 120.0), saver.put)
    pipeline.step({"": snapshot("a")}, 1.0)
    assert saver.take(0) == {"": snapshot("a")}
    pipeline.step({}, 2.0)
    assert saver.take(0) == {}


def test_a_sign_of_life_looks_at_no_target() -> None:
    line = Line()
    line.step(snapshot("a"), now=1.0)
    rounds: list[object] = []
    line.pipeline.publish = lambda: rounds.append(None)  # type: ignore[method-assign]
    line.pipeline.step({"beat": lambda: None}, 2.0)
    assert rounds == []
    assert line.pipeline.status.beat == 2.0
