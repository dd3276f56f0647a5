import itertools
import random
import re
import sys
from collections.abc import Iterable
from typing import Any

import pytest
from msgspec.structs import replace

from kuma_sd import Labels, Target, TransformError
from kuma_sd.pipeline.chain import Chain
from kuma_sd.pipeline.label_limits import LabelLimits
from kuma_sd.prometheus.label_profiles import LabelProfile
from kuma_sd.testing import assignment


def chain(*transforms: object) -> Chain:
    return Chain(LabelProfile("kuma-prometheus-sd"), transforms)  # type: ignore[arg-type]


def test_an_unchanged_assignment_is_never_converted_again() -> None:
    one = chain()
    assignments = [assignment(f"backend-{number:04}") for number in range(1000)]
    one.publication(assignments, received=1.0)
    assignments[500] = assignment("backend-0500", service="other")
    # Equal, but made anew, as after a restart of the control plane.
    again = [assignment(each.key.name) for each in assignments[:500]] + assignments[500:]
    one.publication(again, received=2.0)
    assert one.converted == 1001


def test_transforms_are_applied_in_order_and_may_drop_and_multiply() -> None:
    def twice(labels: Labels, _target: Target) -> Iterable[Labels]:
        yield labels | {"copy": "1"}
        yield labels | {"copy": "2"}

    def drop_first(labels: Labels, _target: Target) -> Iterable[Labels]:
        return [] if labels["copy"] == "1" else [labels | {"seen": "yes"}]

    published = chain(twice, drop_first).publication([assignment("a"), assignment("b")], received=1.0)
    assert [(group.key.assignment.name, group.key.place, group.labels["copy"]) for group in published.groups] == [
        ("a", 0, "2"),
        ("b", 0, "2"),
    ]


def test_a_result_without_an_address_is_dropped_and_counted() -> None:
    one = chain(lambda labels, _target: [labels | {"__address__": ""}, labels])
    published = one.publication([assignment("a")], received=1.0)
    assert [group.key.place for group in published.groups] == [1]
    assert one.without_address == 1


def test_names_that_a_transform_makes_are_made_valid() -> None:
    one = chain(lambda labels, _target: [labels | {"9lives": "cat", "": "nameless", "a-b": "c"}])
    (group,) = one.publication([assignment("a")], received=1.0).groups
    assert {"_9lives": "cat", "_": "nameless", "a_b": "c"}.items() <= group.labels.items()
    assert all(re.fullmatch("[a-zA-Z_][a-zA-Z0-9_]*", name) for name in group.labels)
    assert one.profile.repaired == 3


def test_a_failing_transform_keeps_the_last_good_groups(caplog: pytest.LogCaptureFixture) -> None:
    def fragile(labels: Labels, target: Target) -> Iterable[Labels]:
        if target.service == "bad":
            raise ValueError("no such thing")
        return [labels]

    one = chain(fragile)
    good = one.publication([assignment("a"), assignment("b")], received=1.0)
    for _ in range(3):
        published = one.publication([assignment("a", service="bad"), assignment("b")], received=2.0)
        assert published.groups == good.groups
    assert one.failing == 1
    assert len(caplog.records) == 1
    assert "they keep their last good labels" in caplog.text
    assert "targets=1 names=default/a" in caplog.text
    assert "no such thing" in caplog.text


def raising(labels: Labels, _target: Target) -> Iterable[Labels]:
    return [{"team": labels["team"]}]


def exiting(_labels: Labels, _target: Target) -> Iterable[Labels]:
    sys.exit("a library gives up")


@pytest.mark.parametrize(
    ("transform", "reason"),
    [
        (lambda labels, _: itertools.repeat(labels), "team (kuma_sd_transform): it makes more than 1,000 label sets"),
        (exiting, "team (kuma_sd_transform): unexpected SystemExit: a library gives up"),
        (raising, "team (kuma_sd_transform): unexpected KeyError: 'team'"),
        (lambda labels, _: [labels | {"size": 3}], "team (kuma_sd_transform): label 'size' is 3, which is no str"),
        (lambda labels, _: [labels | {3: "size"}], "team (kuma_sd_transform): the name of label 3 is no str"),
        (lambda _labels, _: ["a"], "team (kuma_sd_transform): it returned 'a' where a label set is needed"),
    ],
)
def test_a_failure_names_the_transform_and_what_is_wrong(
    transform: Any, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    one = Chain(LabelProfile("kuma-prometheus-sd"), [transform], titles=["team (kuma_sd_transform)"])
    one.publication([assignment("a")], received=1.0)
    assert one.status.quarantine[0].why.startswith(reason)
    assert reason in caplog.text


def test_transforms_together_may_not_multiply_a_target_without_end(caplog: pytest.LogCaptureFixture) -> None:
    one = chain(*[lambda labels, _: [labels | {"place": str(place)} for place in range(100)]] * 3)
    one.publication([assignment("a")], received=1.0)
    assert "it makes more than 1,000 label sets of one target" in caplog.text


def test_a_target_that_never_converted_is_left_out_and_the_others_go_on() -> None:
    one = chain(lambda labels, target: [labels] if target.name == "b" else 1 / 0)
    published = one.publication([assignment("a"), assignment("b")], received=1.0)
    assert [group.key.assignment.name for group in published.groups] == ["b"]


def test_bytes_that_cannot_be_read_keep_the_last_good_groups() -> None:
    one = chain()
    good = one.publication([assignment("a")], received=1.0)
    broken = replace(assignment("a"), data=b"{")
    assert one.publication([broken], received=2.0).groups == good.groups


def test_same_input_gives_the_same_publication_in_any_order_of_time() -> None:
    assignments = [assignment(f"backend-{number}") for number in range(100)]
    whole = chain().publication(sorted(assignments), received=1.0)
    grown = chain()
    random.Random(1).shuffle(assignments)
    for count in range(0, 101, 10):
        last = grown.publication(sorted(assignments[:count]), received=1.0)
    assert last == whole


@pytest.mark.parametrize(
    ("labels", "reason"),
    [
        ({f"tag_{number}": "x" for number in range(11)}, r"it has 11 labels, more than max-labels \(10\)"),
        ({"big": "x" * 101}, "the value of its label 'big' is longer than max-label-value-length"),
    ],
)
def test_a_target_beyond_the_limits_is_left_out(labels: Labels, reason: str) -> None:
    one = Chain(LabelProfile("kuma-prometheus-sd"), limits=LabelLimits(labels=10, label_value_length=100))
    published = one.publication([assignment("a", labels=labels), assignment("b", labels={"big": "x" * 100})], 1.0)
    assert [group.key.assignment.name for group in published.groups] == ["b"]
    (failure,) = one._memo.failures.values()
    assert re.match(reason, str(failure))


def test_ten_thousand_bad_targets_are_one_line(caplog: pytest.LogCaptureFixture) -> None:
    one = chain(lambda labels, _target: [labels | {"__address__": "http://a:80/metrics"}])
    one.publication([assignment(f"backend-{number:05}") for number in range(10_000)], received=1.0)
    (record,) = caplog.records
    assert "targets=10000" in record.getMessage()
    assert "default/backend-00000 default/backend-00001 default/backend-00002" in record.getMessage()


@pytest.mark.parametrize(
    "changed",
    [
        {"__address__": 8080},
        {"__address__": "http://192.0.2.1:80"},
        {"__address__": "192.0.2.1:80/metrics"},
        {"__scrape_interval__": "abc"},
    ],
)
def test_a_target_that_prometheus_would_refuse_is_quarantined_and_named(changed: Labels) -> None:
    one = chain(lambda labels, target: [labels | changed] if target.name == "a" else [labels])
    published = one.publication([assignment("a"), assignment("b")], received=1.0)
    assert [group.key.assignment.name for group in published.groups] == ["b"]
    (quarantined,) = one.status.quarantine
    assert quarantined.name == "a"


def test_what_cannot_be_converted_any_more_is_published_under_the_new_name_of_its_control_plane() -> None:
    def fail(_labels: Labels, target: Target) -> list[Labels]:
        raise TransformError(target.name)

    before, after = chain(), chain(fail)
    old = before.publication([assignment("a", control_plane="east")], received=1.0)
    after.inherit([before], {"east": "west"})
    (group,) = after.publication([assignment("a", control_plane="west")], received=2.0).groups
    assert group.key.assignment.control_plane == "west"
    assert group.labels == old.groups[0].labels | {"control_plane": "west"}


def test_what_was_saved_of_a_quarantined_target_is_published_under_the_present_name_of_its_control_plane() -> None:
    before = chain()
    saved = before.publication([assignment("a", control_plane=name) for name in ("east", "west")], received=1.0).groups
    after = chain(lambda _labels, _target: 1 / 0)
    after.fall_back_on(dict, {}, saved, {"east": "west", "west": "east"})
    swapped = after.publication([assignment("a", control_plane=name) for name in ("east", "west")], received=2.0)
    assert [group.key.assignment.control_plane for group in swapped.groups] == ["east", "west"]
    assert after.quarantined == swapped.groups
