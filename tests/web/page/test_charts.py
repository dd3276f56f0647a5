"""Charts draw what was so, and nothing else."""

import re

from hypothesis import given
from hypothesis import strategies as st

from kuma_sd.core.text import ago, duration, size
from kuma_sd.telemetry.history import COARSE, FINE, Point
from kuma_sd.web.page.charts import BASE, DAY, HOUR, LEFT, RIGHT, TOP, WIDTH, chart
from kuma_sd.web.page.template_filters import clock

NOW = 1_800_000_000.0


def test_nothing_is_drawn_of_nothing() -> None:
    empty = chart(HOUR, [], NOW)
    assert (empty.path, empty.bars, empty.values) == ("", [], [])
    assert empty.text == "Nothing was published within the last hour."


def test_a_step_is_drawn_where_the_count_changed() -> None:
    points = [Point(NOW - 20, 100), Point(NOW - 10, 100), Point(NOW, 160, added=60)]
    drawn = chart(HOUR, points, NOW)
    assert len(re.findall("V", drawn.path)) == 1
    assert drawn.text == "160 targets now, 100 to 160 within the last hour; 60 added, 0 removed, 0 changed"
    (bar,) = drawn.bars
    assert bar.up > 0 == bar.down
    assert bar.text.endswith("60 added, 0 removed, 0 changed")


def test_a_line_breaks_where_nothing_is_known() -> None:
    assert chart(HOUR, [Point(NOW - 900, 5), Point(NOW, 5)], NOW).path.count("M") == 2


def test_a_small_change_of_many_can_be_seen() -> None:
    drawn = chart(HOUR, [Point(NOW - 10, 100_000), Point(NOW, 99_000, removed=1000)], NOW)
    low, high = sorted(int(value.text.replace(",", "")) for value in drawn.values)
    assert 50_000 < low < 99_000
    assert high > 100_000


def test_few_targets_are_drawn_from_zero() -> None:
    assert {value.text for value in chart(DAY, [Point(NOW, 3)], NOW).values} == {"0", "4"}


@given(st.lists(st.integers(0, 10**7), max_size=400), st.sampled_from([HOUR, DAY]), st.floats(0, 10**5))
def test_everything_stays_inside(counts: list[int], span: object, shift: float) -> None:
    assert span in (HOUR, DAY)
    which = HOUR if span is HOUR else DAY
    step = FINE if which is HOUR else COARSE
    now = NOW + shift
    points = [Point(now - place * step, count, count // 2, count // 3, count % 7) for place, count in enumerate(counts)]
    drawn = chart(which, points[::-1], now)
    assert all(LEFT <= float(x) <= RIGHT for x in re.findall(r"[MH]([\d.]+)", drawn.path))
    assert all(TOP <= float(y) <= BASE for y in re.findall(r"(?:V|M[\d.]+ )([\d.]+)", drawn.path))
    assert all(bar.x >= LEFT and bar.x + bar.width <= WIDTH for bar in drawn.bars)
    assert len(drawn.bars) <= which.bars + 1
    assert all(LEFT < tick.at < RIGHT for tick in drawn.times)


def test_times_and_sizes_are_said_as_people_say_them() -> None:
    assert [duration(item) for item in (0.012, 59, 60, 3661, 90_000)] == ["12ms", "59s", "1m", "1h1m", "1d1h"]
    assert [ago(NOW - item, NOW) for item in (0.2, 5)] == ["now", "5s ago"]
    assert [clock(NOW - item, NOW) for item in (0, 86400)] == ["08:00:00", "2027-01-14 08:00:00"]
    assert [size(item) for item in (512, 2048, 3 * 2**20, 5 * 2**30)] == ["512 bytes", "2.0 KiB", "3.0 MiB", "5.0 GiB"]
