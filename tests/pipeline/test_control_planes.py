"""The promise for one control plane and for several, event by event; how long things take is in the guard's tests."""

import dataclasses

import pytest
from msgspec.structs import replace
from pipeline_kit import Line, saved

from kuma_sd import Labels, Publication, Target, TransformError
from kuma_sd.core.mailbox import Mailbox
from kuma_sd.core.model import ContactLost
from kuma_sd.pipeline.chain import Chain
from kuma_sd.pipeline.chain_outputs import ChainOutputs
from kuma_sd.pipeline.messages import Configuration, FromSource
from kuma_sd.testing import assignment, snapshot

TEN = [f"a{number}" for number in range(10)]


def published(line: Line) -> list[str]:
    assert line.chain_outputs.last
    return [group.key.assignment.control_plane + group.key.assignment.name for group in line.chain_outputs.last.groups]


class TestARestart:
    def test_begins_at_once_with_what_was_saved(self) -> None:
        line = Line("east", "west", restored=[saved("a", name="east", endpoint="east:1")])
        assert line.step(now=0.0) is None
        line = Line(
            "east",
            "west",
            restored=[saved("a", name="east", endpoint="east:1"), saved("b", name="west", endpoint="west:1")],
        )
        assert line.step(now=0.0) == ["easta", "westb"]

    def test_does_not_wait_for_one_that_is_known_to_be_empty(self) -> None:
        empty = saved(name="west", endpoint="west:1")
        line = Line("east", "west", restored=[saved("a", name="east", endpoint="east:1"), empty])
        assert line.step(now=0.0) == ["easta"]

    def test_holds_what_was_saved_when_the_control_plane_comes_back_empty(self) -> None:
        line = Line(hold=120.0, restored=[saved("a", "b")])
        assert line.step(now=0.0) == ["a", "b"]
        assert line.step(snapshot(connected=1.0), now=2.0) is None
        assert line.step(now=122.0) == []

    def test_keeps_what_was_saved_when_somebody_accepts_before_an_answer(self) -> None:
        line = Line(hold=120.0, restored=[saved("a", "b")])
        line.step(now=0.0)
        assert line.accept() is None
        assert line.step(snapshot(connected=1.0), now=2.0) is None

    def test_with_a_new_name_keeps_the_targets(self) -> None:
        line = Line("east", restored=[saved("a", endpoint="east:1")])
        assert line.step(now=0.0) == ["easta"]

    def test_with_other_control_planes_keeps_the_targets_until_those_answered(self) -> None:
        line = Line("west", restored=[saved("a", name="east", endpoint="east:1")], start_wait=30.0)
        assert line.step(now=0.0) is None
        assert line.step(now=30.0) == ["easta"]
        assert line.step(snapshot("b", control_plane="west"), now=31.0) == ["westb"]

    def test_finds_what_was_published_under_other_names(self) -> None:
        before = Line("east", "west")
        before.step(snapshot("a", control_plane="east"), snapshot("a", control_plane="west"), now=1.0)
        file, waiting = before.chain_outputs.last, Line("east", "west", "third", restored=before.saved.values())
        assert file
        first, second, third = waiting.configs
        swapped = replace(second, name="east", source=4), replace(first, name="west", source=5), third
        assert waiting.reload(*swapped, now=2.0) is None
        assert waiting.reload(now=3.0) is None

        def fail(_labels: Labels, target: Target) -> list[Labels]:
            raise TransformError(target.name)

        line = Line("east", "west", restored=waiting.saved.values(), file=file, transforms=[fail])
        assert line.step(now=2.0) == ["easta", "westa"]
        assert line.chain_outputs.last
        lines = {group.key.assignment.control_plane: group.json for group in line.chain_outputs.last.groups}
        assert lines == {name: group.json for group in file.groups for name in [group.key.assignment.control_plane]}

    def test_with_another_name_keeps_what_cannot_be_converted_also_of_one_that_is_removed_before_it_is_published(
        self,
    ) -> None:
        before = Line("east")
        before.step(snapshot("a", control_plane="east"), now=1.0)

        def fail(_labels: Labels, target: Target) -> list[Labels]:
            raise TransformError(target.name)

        known = [dataclasses.replace(saved, endpoints=frozenset({"west:1"})) for saved in before.saved.values()]
        line = Line("west", "new", restored=known, file=before.chain_outputs.last, transforms=[fail])
        line.chain_outputs = line.new_chain_outputs(fail)
        assert line.reload(line.config("new", "new:1"), now=2.0) is None
        assert line.step(now=31.0) == ["westa"]


class TestAHold:
    def test_does_not_end_while_the_control_plane_is_away(self) -> None:
        line = Line(hold=120.0)
        line.step(snapshot(*TEN), now=1.0)
        line.step(snapshot(), now=10.0)
        line.ages[""] = 5.0
        line.step(ContactLost("", 20.0), now=25.0)
        assert line.step(now=1000.0) is None

    def test_does_not_end_while_an_answer_is_overdue(self) -> None:
        line = Line(hold=120.0)
        line.step(snapshot(*TEN), now=1.0)
        line.step(snapshot(), now=10.0)
        line.ages[""] = 5.0
        assert line.step(now=130.0) is None
        assert line.pipeline.deadline(130.0) == 131.0
        line.ages[""] = 0.0
        assert line.step(now=131.0) == []

    def test_never_ends_for_a_control_plane_that_restarts_empty_again_and_again(self) -> None:
        line = Line(hold=120.0)
        line.step(snapshot(*TEN), now=1.0)
        for now in range(10, 1000, 100):
            line.step(ContactLost("", now), now=now + 1)
            assert line.step(snapshot(connected=now + 2), now=now + 2) is None

    def test_never_ends_for_one_that_crashes_again_and_again_and_is_back_at_once(self) -> None:
        line = Line(hold=120.0)
        line.step(snapshot(*TEN), now=1.0)
        for now in range(10, 1000, 100):
            assert line.step(dataclasses.replace(snapshot(), unbroken_since=now), now=now) is None
        assert line.step(now=1029.0) is None
        assert line.step(now=1031.0) == []

    def test_of_a_few_goes_on_behind_a_proxy_that_cuts_streams(self) -> None:
        line = Line(hold=120.0)
        line.step(snapshot(*TEN), now=1.0)
        for now in range(10, 130, 30):
            assert line.step(dataclasses.replace(snapshot(*TEN[:9]), unbroken_since=now), now=now) is None
        assert line.step(now=130.0) == TEN[:9]

    def test_goes_on_over_a_connection_that_a_gateway_ended(self) -> None:
        line = Line(hold=120.0)
        line.step(dataclasses.replace(snapshot(*TEN), unbroken_since=1.0), now=1.0)
        for now in range(10, 130, 10):
            assert line.step(dataclasses.replace(snapshot(), unbroken_since=1.0), now=now) is None
        assert line.step(now=130.0) == []

    def test_ends_in_a_quiet_stream(self) -> None:
        line = Line(hold=120.0)
        line.step(snapshot(*TEN), now=1.0)
        line.step(ContactLost("", 5.0), now=6.0)
        line.step(snapshot(*TEN[:9], connected=7.0), now=7.0)
        assert line.step(now=127.0) == TEN[:9]

    def test_is_not_begun_anew_by_a_loss_before_the_present_contact(self) -> None:
        line = Line(hold=120.0)
        line.step(snapshot(*TEN), now=1.0)
        line.step(snapshot(*TEN[:9], connected=7.0), ContactLost("", 5.0), now=7.0)
        assert line.step(now=127.0) == TEN[:9]


class TestAnotherAddress:
    def test_keeps_the_targets_until_a_complete_list_that_is_not_empty_replaces_them(self) -> None:
        line = Line(hold=10.0)
        line.step(snapshot(*TEN), now=1.0)
        assert line.reload(line.config("", "new:1"), now=2.0) is None
        assert line.step(snapshot(connected=3.0), now=3.0) is None
        assert line.step(now=1000.0) is None
        assert line.step(snapshot("b", connected=3.0, unreadable=[b"x"]), now=1001.0) == [*TEN, "b"]
        assert line.step(snapshot("c", connected=3.0), now=1002.0) == ["c"]

    def test_that_is_taken_back_is_the_old_one_with_its_guard(self) -> None:
        line = Line(hold=120.0)
        line.step(snapshot(*TEN), now=1.0)
        line.reload(line.config("", "mistyped:1"), now=2.0)
        line.reload(line.config("", "only:1"), now=3.0)
        assert line.step(snapshot("a0", connected=4.0), now=4.0) is None

    def test_of_a_replica_more_keeps_the_guard_on(self) -> None:
        line = Line(hold=120.0)
        line.step(snapshot(*TEN), now=1.0)
        line.reload(line.config("", "only:1", "second:1"), now=2.0)
        line.reload(line.config("", "second:1"), now=3.0)
        assert line.step(snapshot("a0", connected=4.0), now=4.0) is None

    def test_is_not_answered_by_a_late_snapshot_of_the_old_one(self) -> None:
        line = Line(hold=120.0)
        old = line.configs[0].source
        line.step(snapshot(*TEN), now=1.0)
        line.reload(line.config("", "new:1"), now=2.0)
        assert line.take(FromSource(old, snapshot("a0")), now=3.0) is None
        assert line.step(snapshot("b", connected=3.0), now=4.0) == ["b"]


class TestAReload:
    def test_that_names_a_control_plane_and_adds_another_keeps_its_targets(self) -> None:
        line = Line()
        line.step(snapshot("a"), now=1.0)
        both = line.config("east", "only:1"), line.config("west", "west:1")
        assert line.reload(*both, now=2.0) == ["easta"]
        assert line.step(snapshot("b", control_plane="west"), now=3.0) == ["easta", "westb"]

    def test_that_swaps_names_and_adds_an_address_loses_nothing(self) -> None:
        line = Line("east", "west")
        line.step(snapshot("a", control_plane="east"), snapshot("b", control_plane="west"), now=1.0)
        assert line.reload(line.config("east", "west:1"), line.config("west", "east:1")) == ["eastb", "westa"]

    def test_that_gives_one_the_name_of_another_that_leaves_keeps_the_targets_of_both(self) -> None:
        line = Line("east", "west")
        for name, address in (("east", "192.0.2.1:1"), ("west", "192.0.2.2:1")):
            line.step(snapshot(assignment("a", control_plane=name, address=address), control_plane=name), now=1.0)
        assert line.reload(line.config("east", "west:1"), line.config("west", "new:1"), now=2.0) == ["easta", "easta"]
        assert line.step(snapshot("b", control_plane="west"), now=3.0) == ["easta", "westb"]

    def test_that_removes_a_control_plane_lets_its_targets_go_at_once(self) -> None:
        line = Line("east", "west")
        line.step(snapshot("a", control_plane="east"), snapshot("b", control_plane="west"), now=1.0)
        assert line.reload(line.config("west", "west:1")) == ["westb"]
        assert line.forgotten == ["east"]

    def test_that_removes_one_does_not_wait_for_another_that_never_answered(self) -> None:
        line = Line("east", start_wait=30.0)
        line.step(snapshot("a", control_plane="east"), now=1.0)
        north, south = line.config("north", "north:1"), line.config("south", "south:1")
        line.reload(line.config("east", "east:1"), north, now=2.0)
        line.reload(*line.configs, south, now=40.0)
        line.step(snapshot("b", control_plane="south"), now=41.0)
        assert line.reload(north, south, now=80.0) == ["southb"]

    def test_in_two_steps_shortly_after_each_other_is_as_good_as_one(self) -> None:
        line = Line("east", start_wait=30.0)
        line.step(snapshot("a", control_plane="east"), now=1.0)
        west = line.config("west", "west:1")
        line.reload(line.config("east", "east:1"), west, now=2.0)
        assert line.reload(west, now=3.0) is None
        assert published(line) == ["easta"]
        assert line.step(snapshot("b", control_plane="west"), now=4.0) == ["westb"]

    def test_that_replaces_all_by_unknown_ones_keeps_the_targets_until_those_answered(self) -> None:
        line = Line("east", start_wait=30.0, hold=10.0)
        line.step(snapshot("a", control_plane="east"), now=1.0)
        assert line.reload(line.config("north", "north:1"), line.config("south", "south:1"), now=2.0) is None
        assert line.step(now=1000.0) is None
        assert line.step(snapshot("b", control_plane="north"), now=1001.0) == ["northb"]

    def test_keeps_them_until_every_new_one_answered_within_start_wait(self) -> None:
        line = Line("east", start_wait=30.0)
        line.step(snapshot("a", control_plane="east"), now=1.0)
        line.reload(line.config("north", "north:1"), line.config("south", "south:1"), now=2.0)
        assert line.step(snapshot("b", control_plane="north"), now=3.0) == ["easta", "northb"]
        assert line.step(now=32.0) == ["northb"]

    def test_keeps_them_for_one_that_was_there_before_and_never_answered(self) -> None:
        line = Line("east", start_wait=2.0)
        line.step(snapshot("a", control_plane="east"), now=1.0)
        east, west = line.config("east", "east:1"), line.config("west", "west:1")
        for number, configs in enumerate([(west,), (east,), (west,), (east, west), (east,), (west,)]):
            assert line.reload(*configs, now=10.0 * (number + 1)) is None
            assert line.step(now=10.0 * (number + 1) + 5.0) is None
            assert published(line) == ["easta"]
        assert line.step(snapshot("b", control_plane="west"), now=100.0) == ["westb"]

    def test_that_is_taken_back_finds_everything_as_it_was(self) -> None:
        line = Line("east", start_wait=30.0)
        line.step(snapshot("a", control_plane="east"), now=1.0)
        line.reload(line.config("west", "west:1"), now=2.0)
        assert line.reload(line.config("east", "east:1"), now=3.0) is None
        assert published(line) == ["easta"]

    def test_brings_back_one_that_was_removed_a_while_ago_with_its_targets(self) -> None:
        line = Line("east", "west")
        line.step(snapshot("a", control_plane="east"), snapshot("b", control_plane="west"), now=1.0)
        line.reload(line.config("west", "west:1"), now=2.0)
        assert line.reload(line.config("west", "west:1"), line.config("east", "east:1"), now=3.0) == ["easta", "westb"]

    @pytest.mark.parametrize("name", ["", "east"])
    def test_with_rules_that_fail_keeps_the_groups_that_were_good(self, name: str) -> None:
        def fail(labels: Labels, target: Target) -> list[Labels]:
            if target.name == "a":
                raise TransformError("no")
            return [labels | {"new": "yes"}]

        line = Line()
        line.step(snapshot("a", "b"), now=1.0)
        line.chain_outputs = line.new_chain_outputs(fail)
        assert line.reload(line.config(name, "only:1"), now=2.0) == [f"{name}a", f"{name}b"]
        assert line.chain_outputs.last
        assert ["new" in group.labels for group in line.chain_outputs.last.groups] == [False, True]
        line.chain_outputs = line.new_chain_outputs(fail)
        assert line.reload(now=3.0) is not None
        assert published(line) == [f"{name}a", f"{name}b"]

    @pytest.mark.parametrize("shared", [False, True])
    def test_that_renames_an_output_and_gives_it_rules_that_fail_keeps_the_groups_that_were_good(
        self, *, shared: bool
    ) -> None:
        def fail(labels: Labels, target: Target) -> list[Labels]:
            if target.name == "a":
                raise TransformError("no")
            return [labels]

        line, other = Line(), Mailbox[Publication]()
        profile = line.chain_outputs.chain.profile
        bad, good = Chain(profile, [fail]), Chain(profile)
        first = [ChainOutputs(bad if shared else good, {"other": other}), line.chain_outputs]
        line.take(Configuration(line.configs, first, 30.0), now=0.0)
        line.step(snapshot("a", "b"), now=1.0)
        outputs = {"renamed": line.out, "other": other} if shared else {"renamed": line.out}
        then = ChainOutputs(bad if shared else Chain(profile, [fail]), outputs)
        line.take(Configuration(line.configs, [then], 30.0), now=2.0)
        assert then.last
        assert [group.key.assignment.name for group in then.last.groups] == ["a", "b"]


class TestAccepting:
    def test_publishes_what_the_control_plane_has(self) -> None:
        line = Line(hold=120.0)
        line.step(snapshot("a", "b", "c"), now=1.0)
        assert line.step(snapshot("c"), now=2.0) is None
        assert line.accept() == ["c"]

    def test_before_anything_was_heard_does_nothing(self) -> None:
        line = Line()
        assert line.accept() is None
        assert line.step(now=1000.0) is None

    def test_of_one_leaves_the_others_held(self) -> None:
        line = Line("east", "west", hold=120.0)
        line.step(snapshot("a", control_plane="east"), snapshot("b", control_plane="west"), now=1.0)
        line.step(snapshot(control_plane="east"), snapshot(control_plane="west"), now=2.0)
        assert line.accept("east") == ["westb"]

    def test_takes_nothing_of_one_that_did_not_answer_since_the_restart(self) -> None:
        both = [saved("a", name="east", endpoint="east:1"), saved("b", name="west", endpoint="west:1")]
        line = Line("east", "west", hold=120.0, restored=both)
        line.step(snapshot("a", control_plane="east", connected=1.0), now=1.0)
        line.accept()
        assert line.step(snapshot(control_plane="west", connected=2.0), now=2.0) is None
        assert published(line) == ["easta", "westb"]


class TestSaving:
    def test_gives_each_one_that_is_known_from_an_output_alone_a_file_of_its_own(self) -> None:
        known = [saved(target, name=name) for target, name in (("a", "east"), ("b", "west"))]
        line = Line(
            "north", restored=[dataclasses.replace(last_good, file="", endpoints=frozenset()) for last_good in known]
        )
        line.step(now=1.0)
        assert {
            file: [entry.key.name for entry in last_good.assignments] for file, last_good in line.saved.items()
        } == {"east": ["a"], "west": ["b"]}

    def test_happens_whenever_what_is_published_changes(self) -> None:
        line = Line(hold=120.0)
        line.step(snapshot(*TEN), now=1.0)
        (file,) = line.saved
        assert len(line.saved.pop(file).assignments) == 10
        line.step(now=2.0)
        assert line.saved == {}
        line.step(snapshot(), now=3.0)
        line.saved.clear()
        line.step(now=123.0)
        assert line.saved[file].assignments == []

    def test_keeps_what_is_let_go_gone_after_accepting(self) -> None:
        line = Line(hold=120.0)
        line.step(snapshot(*TEN), now=1.0)
        line.step(snapshot("a0"), now=2.0)
        line.accept()
        (last,) = line.saved.values()
        assert [entry.key.name for entry in last.assignments] == ["a0"]

    def test_says_where_the_targets_came_from(self) -> None:
        line = Line()
        line.step(snapshot("a"), now=1.0)
        line.reload(line.config("", "new:1"), now=2.0)
        (last,) = line.saved.values()
        assert last.endpoints == {"only:1"}
        line.step(snapshot("b", connected=3.0), now=3.0)
        (last,) = line.saved.values()
        assert last.endpoints == {"new:1"}

    def test_gives_each_control_plane_a_file_that_it_keeps_when_it_is_renamed(self) -> None:
        line = Line("east")
        line.step(snapshot("a", control_plane="east"), now=1.0)
        line.reload(line.config("west", "east:1"), line.config("east", "other:1"), now=2.0)
        line.step(snapshot("b", control_plane="east"), now=3.0)
        assert {file: last.name for file, last in line.saved.items()} == {"east": "west", "east.2": "east"}

    def test_does_not_happen_before_the_first_publication(self) -> None:
        line = Line("east", "west")
        line.step(snapshot("a", control_plane="east"), now=1.0)
        assert line.saved == {}


def test_namesakes_are_held_one_by_one_and_nothing_is_published_twice() -> None:
    line = Line(hold=120.0)
    first, second = (assignment("db", index=place, address=f"192.0.2.{place + 1}:1") for place in (0, 1))
    line.step(snapshot(first, second, *TEN), now=1.0)
    alone = assignment("db", address="192.0.2.2:1")
    line.step(ContactLost("", 2.0), now=2.5)
    line.step(snapshot(alone, *TEN, connected=3.0), now=3.0)
    assert line.chain_outputs.last
    addresses = [group.targets for group in line.chain_outputs.last.groups if group.key.assignment.name == "db"]
    assert addresses == [["192.0.2.1:1"], ["192.0.2.2:1"]]


class TestAProcessThatStoodStillWhileAHoldEnded:
    def test_hears_first_whether_the_contact_was_lost_meanwhile(self) -> None:
        line = Line(hold=5.0)
        line.step(snapshot("a", "b"), now=0.0)
        line.step(snapshot(connected=0.0), now=10.0)
        assert line.step(now=60.0) is None
        line.step(ContactLost("", 12.0), now=60.1)
        assert line.step(now=61.0) is None
        assert line.step(snapshot("a", connected=61.0), now=62.0) is None
        assert line.step(now=67.0) == ["a"]

    def test_ends_the_hold_a_second_later_if_it_was_not(self) -> None:
        line = Line(hold=5.0)
        line.step(snapshot("a", "b"), now=0.0)
        line.step(snapshot(connected=0.0), now=10.0)
        assert line.step(now=60.0) is None
        assert line.pipeline.deadline(60.0) == 61.0
        assert line.step(now=61.0) == []


def test_a_hold_that_is_over_by_a_shorter_guard_hold_ends_within_a_second_of_the_reload() -> None:
    line = Line(hold=120.0)
    line.step(snapshot("a", "b"), now=0.0)
    line.step(snapshot(connected=0.0), now=10.0)
    line.reload(line.config("", "only:1", hold=5.0), now=60.0)
    assert line.pipeline.deadline(60.0) <= 61.0
    assert line.step(now=61.0) == []
