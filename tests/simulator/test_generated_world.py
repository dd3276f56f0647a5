import ipaddress

import pytest

from kuma_sd.simulator import GeneratedWorld
from kuma_sd.simulator.generated_world import labels_of_tags


def test_the_same_seed_makes_the_same_world_and_the_same_changes() -> None:
    one, same, other = GeneratedWorld(200, 7), GeneratedWorld(200, 7), GeneratedWorld(200, 8)
    assert one.dataplanes == same.dataplanes != other.dataplanes
    for _ in range(300):
        one.change()
        same.change()
        assert one.dataplanes == same.dataplanes


@pytest.mark.parametrize("targets", [0, 1, 20])
def test_changes_add_remove_or_alter_one_dataplane_and_keep_the_size(targets: int) -> None:
    world = GeneratedWorld(targets)
    kinds = set()
    for _ in range(200):
        before = {dataplane.key: dataplane for dataplane in world.dataplanes}
        world.change()
        after = {dataplane.key: dataplane for dataplane in world.dataplanes}
        altered = [key for key in before.keys() & after.keys() if before[key] != after[key]]
        kind = (len(after.keys() - before.keys()), len(before.keys() - after.keys()), len(altered))
        assert sum(kind) == 1
        kinds.add(kind)
        assert abs(len(world) - targets) <= 1
    assert kinds == {(1, 0, 0), (0, 1, 0), (0, 0, 1)}


def test_a_world_has_all_kinds_of_dataplanes() -> None:
    dataplanes = GeneratedWorld(1000).dataplanes
    assert len({dataplane.key for dataplane in dataplanes}) == len({d.address for d in dataplanes}) == 1000
    assert len({dataplane.mesh for dataplane in dataplanes}) == 3
    assert {dataplane.scheme for dataplane in dataplanes} == {"http", "https"}
    assert {dataplane.metrics_path for dataplane in dataplanes} == {"/metrics", "/non-standard-path", "/custom"}
    assert any(dataplane.service == "gateway" for dataplane in dataplanes)
    assert any(dataplane.address.startswith("[") for dataplane in dataplanes)
    names = {name for dataplane in dataplanes for name in dataplane.labels}
    assert names >= {"kuma_io_service", "kuma_io_services", "9lives_cat", "k8s_kuma_io_name", "k8s_kuma_io_namespace"}
    assert any(dataplane.labels.get("versions") == ",v1,v2," for dataplane in dataplanes)


def test_no_address_is_a_strangers() -> None:
    world = GeneratedWorld(3000)
    for _ in range(1000):
        world.change()
    for dataplane in world.dataplanes:
        host, _, port = dataplane.address.rpartition(":")
        address = ipaddress.ip_address(host.strip("[]"))
        assert address.is_loopback or address in ipaddress.ip_network("2001:db8::/32")
        assert 0 < int(port) < 65536


@pytest.mark.parametrize(
    ("inbounds", "labels"),
    [
        pytest.param(
            [
                {"kuma.io/service": "backend", "env": "prod", "version": "v1"},
                {"kuma.io/service": "backend-https", "env": "prod", "version": "v2"},
            ],
            {
                "env": "prod",
                "envs": ",prod,",
                "kuma_io_service": "backend",
                "kuma_io_services": ",backend,backend-https,",
                "version": "v1",
                "versions": ",v1,v2,",
            },
            id="two inbounds",
        ),
        pytest.param(
            [{"version": "v1", "versions": "v1+v1.0.1"}],
            {"version": "v1", "versions": "v1+v1.0.1", "versionss": ",v1+v1.0.1,"},
            id="a tag that is called like a plural",
        ),
        pytest.param(
            [{"app:description": "?!,.:;", "com.company/tag": "&*()-+"}],
            {
                "app_description": "?!,.:;",
                "app_descriptions": ",?!,.:;,",
                "com_company_tag": "&*()-+",
                "com_company_tags": ",&*()-+,",
            },
            id="odd characters",
        ),
    ],
)
def test_tags_become_labels_as_in_kuma(inbounds: list[dict[str, str]], labels: dict[str, str]) -> None:
    assert labels_of_tags(inbounds) == labels
