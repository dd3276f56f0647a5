"""What is published of several control planes, and when."""

from pipeline_kit import Line, names

from kuma_sd.pipeline.chain_outputs import SENDER
from kuma_sd.pipeline.messages import FromSource
from kuma_sd.testing import assignment, snapshot


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
    first = line.chain_outputs.last
    line.step(snapshot("a", assignment("b", service="other")))
    change = line.chain_outputs.last.since(first)  # type: ignore[union-attr]
    assert str(change) == "0 added, 0 removed, 1 changed"


def test_a_publication_superseded_before_it_was_taken_leaves_since_right() -> None:
    line = Line()
    source = line.configs[0].source
    line.pipeline.step([FromSource(source, snapshot("a", "b", connected=-1000.0))], 1.0)
    taken = line.out.take(0)[SENDER]
    line.pipeline.step([FromSource(source, snapshot("b", connected=-1000.0))], 2.0)
    line.pipeline.step([FromSource(source, snapshot("b", "c", connected=-1000.0))], 3.0)
    newest = line.out.take(0)[SENDER]
    assert str(newest.since(taken)) == "1 added, 1 removed, 0 changed"
    assert line.out.superseded == 1


def test_what_the_guard_holds_goes_when_its_time_comes() -> None:
    line = Line(hold=120.0)
    line.step(snapshot("a", "b", "c", connected=-1000.0), now=1.0)
    assert line.step(snapshot(connected=-1000.0), now=2.0) is None
    assert line.pipeline.deadline(2.0) == 122.0
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
        line = Line(hold=120.0)
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
        line.step(snapshot("a", control_plane="east"), now=5.0)
        assert line.pipeline.deadline(5.0) == 30.0

    def test_believes_an_empty_control_plane_that_somebody_accepts(self) -> None:
        line = Line()
        assert line.step(snapshot(), now=1.0) is None
        assert line.accept() == []


def test_a_step_without_messages_shows_that_the_thread_is_alive_and_looks_at_no_target() -> None:
    line = Line()
    line.step(snapshot("a"), now=1.0)
    rounds = line.pipeline.status.rounds
    line.pipeline.step((), now=2.0)
    assert line.pipeline.status.rounds == rounds
    assert line.pipeline.status.beat == 2.0


def test_names_of_control_planes_collide_with_nothing_of_ours() -> None:
    line = Line("settings", "beat", "accept", "configure")
    mailbox = line.pipeline.mailbox
    for config in line.configs:
        line.pipeline.receiver(config.source)(snapshot("a", control_plane=config.name))
    line.pipeline.configure_soon(line.configuration())
    line.pipeline.accept_soon("accept")
    taken = mailbox.take(0)
    assert len(taken) == len(line.configs) + 2
    line.pipeline.step(taken.values(), 1.0)
    assert names(line.out.take(0)[SENDER]) == ["accepta", "beata", "configurea", "settingsa"]
