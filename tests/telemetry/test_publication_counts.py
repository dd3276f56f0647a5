import gc
import weakref

import pytest

from kuma_sd.core.model import Key, Labels
from kuma_sd.core.publication import Publication
from kuma_sd.core.target_group import GroupKey, TargetGroup
from kuma_sd.telemetry import publication_counts
from kuma_sd.telemetry.publication_counts import Measured, Parts, Size
from kuma_sd.telemetry.target_counts import MOST_NAMES, Count
from kuma_sd.testing import publication


def group(name: str, place: int = 0, mesh: str = "default", **labels: str) -> TargetGroup:
    return TargetGroup.render(GroupKey(Key("", mesh, name, 0), place), {"__address__": f"{name}:{place}", **labels})


def of(*groups: TargetGroup) -> Publication:
    return Publication(groups, 1.0)


def test_several_groups_of_one_target_count_as_one_target() -> None:
    key = Key("", "default", "a", 0)
    both = [TargetGroup.render(GroupKey(key, place), {"__address__": str(place)}) for place in range(2)]
    size = Size.of(of(*both, group("b"), group("c")))
    assert size == Size(3, sum(len(item.json) for item in (*both, group("b"), group("c"))))
    assert Size.of(of()) == Size()


@pytest.mark.parametrize(
    ("labels", "service"),
    [
        ({"service": "a", "job": "b"}, "a"),
        ({"__meta_kuma_service": "a", "job": "b"}, "a"),
        ({"job": "b"}, "b"),
        ({}, ""),
    ],
)
def test_a_service_is_found_with_each_label_profile(labels: Labels, service: str) -> None:
    one = TargetGroup.render(GroupKey(Key("", "default", "a", 0), 0), {"__address__": "a", **labels})
    assert Parts.of(of(one)).services.top == (Count(service, 1, "default"),)


def test_the_largest_are_named_and_the_others_summed_up() -> None:
    groups = [group(f"{mesh}-{number}", mesh=f"m{mesh:02}") for mesh in range(MOST_NAMES + 3) for number in range(mesh)]
    meshes = Parts.of(of(*groups)).meshes
    assert [count.count for count in meshes.top] == list(range(MOST_NAMES + 2, 2, -1))
    assert (meshes.names, meshes.others) == (MOST_NAMES + 2, 1 + 2)


def test_a_publication_is_measured_once(monkeypatch: pytest.MonkeyPatch) -> None:
    measured: list[Publication] = []
    first, second = publication("a"), publication("a", "b")
    cache = Measured(lambda one: measured.append(one) or len(one.groups), 0)  # type: ignore[func-returns-value]
    monkeypatch.setattr(publication_counts, "SHARE", float("inf"))
    assert cache.of(None) == 0
    assert [cache.of(first), cache.of(first), cache.of(second)] == [1, 1, 2]
    assert measured == [first, second]


def test_when_measuring_is_slow_the_last_answer_stands_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Measured(lambda one: len(one.groups), 0)
    monkeypatch.setattr(publication_counts, "SHARE", 1e-12)
    assert [cache.of(publication("a")), cache.of(publication("a", "b"))] == [1, 1]


def test_no_publication_is_kept_alive() -> None:
    cache = Measured(Size.of, Size())
    one = publication("a")
    kept = weakref.ref(one)
    cache.of(one)
    del one
    gc.collect()
    assert kept() is None
