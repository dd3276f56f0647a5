"""Targets expire after ``max-age`` without contact, and return with it."""

import dataclasses
import time

import pytest
from msgspec.structs import replace
from pipeline_kit import Line, saved

from kuma_sd.core.model import ContactLost
from kuma_sd.testing import snapshot


class TestMaxAge:
    def test_drops_the_targets_of_a_control_plane_that_is_away_for_too_long(self) -> None:
        line = Line("east", "west", max_age=60.0)
        line.step(snapshot("a", control_plane="east"), snapshot("b", control_plane="west"), now=1.0)
        line.ages["east"] = 59.0
        assert line.step(now=100.0) is None
        assert line.pipeline.deadline(100.0) == pytest.approx(101.0, abs=0.1)
        line.ages["east"] = 61.0
        assert line.step(now=102.0) == ["westb"]
        assert [entry.key.name for entry in line.pipeline.status.control_planes["east"].lapsed] == ["a"]
        line.ages["east"] = 0.0
        assert line.step(snapshot("c", control_plane="east", connected=103.0), now=103.0) == ["eastc", "westb"]

    def test_is_not_over_when_a_reload_opens_another_source(self) -> None:
        line = Line(max_age=60.0)
        line.step(snapshot("a"), now=1.0)
        line.ages[""] = 0.0
        line.step(now=1000.0)
        line.ages[""] = None
        line.configs = [replace(line.configs[0], source=77)]
        assert line.reload(now=1001.0) is None
        assert line.step(now=1059.0) is None
        assert line.step(now=1060.5) == []

    def test_is_not_over_when_the_process_was_stopped_for_longer_and_the_response_is_read_a_moment_later(self) -> None:
        line = Line(max_age=3600.0)
        line.step(snapshot("a"), now=1.0)
        line.ages[""] = 7200.0
        assert line.step(now=7201.0) is None
        assert line.pipeline.deadline(7201.0) == pytest.approx(7202.0, abs=0.1)
        line.ages[""] = 0.0
        assert line.step(now=7202.5) is None
        line.ages[""] = 7200.0
        assert line.step(now=20_000.0) is None
        assert line.step(now=20_001.0) == []

    def test_ends_when_a_poll_says_that_nothing_changed(self) -> None:
        line = Line(max_age=60.0, hold=120.0)
        line.step(snapshot(*"abc"), now=1.0)
        line.step(snapshot("a", "b"), now=2.0)
        line.ages[""] = 60.5
        assert line.step(now=62.0) == []
        line.ages[""] = 0.0
        # What was held when it expired stays gone.
        assert line.step(now=63.0) == ["a", "b"]
        assert not line.pipeline.status.control_planes[""].expired
        line.ages[""] = 60.5
        assert line.step(now=124.0) == []
        line.step(ContactLost("", 125.0), now=125.0)
        line.ages[""] = 0.0
        assert line.step(now=126.0) is None

    @pytest.mark.parametrize(("stopped_for", "ends"), [(20.0, 40.0), (3600.0, 30.0)])
    def test_goes_on_over_a_restart_but_the_first_answer_is_awaited(self, stopped_for: float, ends: float) -> None:
        line = Line(max_age=60.0, restored=[dataclasses.replace(saved("a"), contact_until=time.time() - stopped_for)])
        line.ages[""] = None
        assert line.step(now=ends - 5) == ["a"]
        assert line.pipeline.deadline(ends - 5) == pytest.approx(ends, abs=4)
        assert line.step(now=ends + 0.1) == []

    def test_is_not_over_after_a_restart_if_the_control_plane_answers(self) -> None:
        line = Line(max_age=60.0, restored=[dataclasses.replace(saved("a"), contact_until=1.0)])
        assert line.step(snapshot("a"), now=29.0) == ["a"]
        assert line.step(now=100.0) is None

    def test_counts_from_the_start_for_what_was_saved_by_an_older_version(self) -> None:
        line = Line(max_age=60.0, restored=[saved("a")])
        line.ages[""] = None
        assert line.step(now=59.0) == ["a"]
        assert line.step(now=61.0) == []

    def test_leaves_nothing_that_a_restart_brings_back(self) -> None:
        line = Line(max_age=60.0)
        line.step(snapshot("a"), now=1.0)
        line.ages[""] = 61.0
        line.step(now=62.0)
        (last,) = line.saved.values()
        assert list(last.assignments) == []
