from publishing import Published

from kuma_sd.telemetry.history import (
    COARSE,
    COARSE_POINTS,
    EXAMPLES,
    FINE,
    FINE_POINTS,
    RECENT,
    ChangeTotals,
    History,
    Point,
    Series,
)
from kuma_sd.testing import publication


def test_each_step_says_how_many_there_are_and_what_happened() -> None:
    history, first, second = History(), publication("a", "b"), publication("b", "c", "d")
    published = Published(history)
    published.note("file_sd", first, published=99.0, now=100.0)
    published.note("file_sd", first, published=99.0, now=110.0)
    published.note("file_sd", second, published=111.0, now=120.0)
    assert history.series("file_sd").hour == (
        *(Point(100.0, 2, added=2), Point(110.0, 2)),
        Point(120.0, 3, added=2, removed=1),
    )


def test_changes_are_told_the_newest_first_with_a_few_names() -> None:
    history = History()
    published = Published(history)
    published.note("file_sd", publication("a", "b"), published=99.0, now=100.0)
    published.note("file_sd", publication("b", "c"), published=101.0, now=110.0)
    newest, oldest = history.recent
    assert (newest.when, newest.output, newest.groups, newest.added, newest.removed) == (101.0, "file_sd", 2, 1, 1)
    assert newest.examples == ("-default/a", "+default/c")
    assert oldest.examples == ("+default/a", "+default/b")


def test_a_publication_that_says_the_same_is_no_change() -> None:
    history = History()
    published = Published(history)
    published.note("file_sd", publication("a"), published=99.0, now=100.0)
    published.note("file_sd", publication("a"), published=105.0, now=110.0)
    assert len(history.recent) == 1


def test_what_is_kept_is_bounded() -> None:
    history = History()
    published = Published(history)
    names = [str(number) for number in range(EXAMPLES + 5)]
    for step in range(FINE_POINTS * 2):
        published.note("file_sd", publication(*names[: step % 2 * len(names)]), published=step, now=step * FINE)
    series = history.series("file_sd")
    assert len(series.hour) == FINE_POINTS
    assert len(history.recent) == RECENT
    assert len(history.recent[0].examples) == EXAMPLES


def test_a_day_is_the_sum_of_its_steps_and_is_bounded_too() -> None:
    series = Series()
    per_step = round(COARSE / FINE)
    for step in range((COARSE_POINTS + 10) * per_step):
        series.add(Point(step * FINE, step, added=1, removed=2, changed=3))
    assert len(series.day) == COARSE_POINTS + 1
    whole = series.day[-2]
    assert (whole.added, whole.removed, whole.changed) == (per_step, 2 * per_step, 3 * per_step)
    assert whole.groups == whole.when / FINE, "what was so at its end"
    assert series.day[-1].when == series.hour[-1].when, "the step that is not over is there as well"


def test_outputs_are_told_apart_and_forgotten_with_their_settings() -> None:
    history = History()
    published = Published(history)
    published.note("one", publication("a"), published=1.0, now=2.0)
    published.note("two", publication("a", "b"), published=1.0, now=2.0)
    assert list(history.outputs) == ["one", "two"]
    history.keep_only(["two"])
    assert list(history.outputs) == ["two"]
    assert history.series("one").hour == ()


def test_an_instance_that_takes_the_place_of_another_publishes_the_same_again_and_that_is_no_change() -> None:
    history = History()
    first = ChangeTotals(began=1.0).after(publication("a", "b"), None)
    second = ChangeTotals(began=2.0).after(publication("a", "b"), None)
    history.note("other", 2, first, published=1.0, now=2.0)
    history.note("other", 2, second, published=3.0, now=4.0)
    history.note("other", 3, second.after(publication("a", "b", "c"), publication("a", "b")), published=5.0, now=6.0)
    assert [point.added for point in history.series("other").hour] == [2, 0, 1]
