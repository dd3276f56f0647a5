import pytest

from kuma_sd.core.model import Key, Labels
from kuma_sd.core.publication import Publication
from kuma_sd.core.target_group import GroupKey, TargetGroup
from kuma_sd.telemetry.publication_counts import Parts, Size
from kuma_sd.telemetry.top_counts import MOST_NAMES, Count


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
