"""Names, services, jobs, zones and labels of dataplanes."""

from typing import Any

import msgspec
import pytest

from kuma_sd_bundled.kuma_api.documents import DataplaneDocument
from kuma_sd_bundled.kuma_api.labels import DataplaneDescription, describe, name_in_zone

DEFAULT = ("kuma.io/workload", "kuma.io/service", "app")


def described(
    *, third: bool | None = None, service_labels: tuple[str, ...] = DEFAULT, **document: Any
) -> DataplaneDescription:
    dataplane = msgspec.convert({"name": "web-0", "mesh": "default", **document}, DataplaneDocument)
    return describe(dataplane, service_labels, third=third)


def inbounds(*tags: dict[str, str] | None) -> dict[str, Any]:
    return {"address": "192.0.2.1", "inbound": [{"port": 80, "tags": each} for each in tags]}


def test_each_tag_makes_two_labels_and_a_tag_called_like_a_plural_wins() -> None:
    found = described(networking=inbounds({"a": "2", "as": "own", "team.name": "x"}, {"a": "1"}))
    assert found.labels == {"a": "1", "as": "own", "ass": ",own,", "team_name": "x", "team_names": ",x,"}


def test_the_service_is_the_smallest_over_all_inbounds_and_the_gateway() -> None:
    networking = inbounds({"kuma.io/service": "web"}, {"kuma.io/service": "admin"})
    assert described(networking=networking).service == "admin"
    networking["gateway"] = {"tags": {"kuma.io/service": "aaa"}}
    assert described(networking=networking).service == "aaa"


def test_where_inbounds_have_no_tags_the_workload_comes_first() -> None:
    found = described(labels={"kuma.io/workload": "w"}, networking=inbounds(None), third=False)
    assert (found.service, found.job) == ("w", "w")


def test_in_kuma_2_labels_of_the_dataplane_stay_out_beside_tags() -> None:
    found = described(labels={"app": "web"}, networking=inbounds({"kuma.io/service": "web"}), third=False)
    assert "app" not in found.labels


def test_in_kuma_3_the_tags_of_a_gateway_do_not_name_its_service_but_its_job() -> None:
    networking = {"address": "192.0.2.1", "gateway": {"tags": {"kuma.io/service": "edge"}}}
    found = described(networking=networking, third=True)
    assert (found.service, found.job, found.labels["kuma_io_service"]) == ("unknown", "edge", "edge")


@pytest.mark.parametrize(
    ("service_labels", "job"), [(("nothing", "tier"), "front"), ((), "unknown"), (("app", "tier"), "web")]
)
def test_the_job_of_an_unknown_service_is_the_first_label_that_is_there(
    service_labels: tuple[str, ...], job: str
) -> None:
    found = described(third=True, service_labels=service_labels, labels={"app": "web", "tier": "front"})
    assert (found.service, found.job) == ("unknown", job)


@pytest.mark.parametrize(
    ("name", "display_name", "namespace", "in_zone"),
    [
        ("web-0", "web-0", "", "web-0"),
        ("web-0", "", "", "web-0"),
        ("web-0-b88bvb4742d5xc48", "web-0", "", "web-0"),
        ("web-0.shop", "web-0", "shop", "web-0.shop"),
        ("web-0-b88bvb4742d5xc48.kuma-system", "web-0", "shop", "web-0.shop"),
        ("web-0-b88bvb4742d5xc48", "web-0.shop", "shop", "web-0.shop"),
    ],
)
def test_the_name_is_that_in_the_zone(name: str, display_name: str, namespace: str, in_zone: str) -> None:
    assert name_in_zone(name, display_name, namespace) == in_zone


def test_on_kubernetes_labels_say_pod_and_namespace() -> None:
    found = described(name="web-0.shop", labels={"k8s.kuma.io/namespace": "shop", "kuma.io/display-name": "web-0"})
    assert (found.labels["k8s_kuma_io_name"], found.labels["k8s_kuma_io_namespace"]) == ("web-0", "shop")
    by_environment = described(name="web-0.shop", labels={"kuma.io/env": "kubernetes"})
    assert by_environment.labels["k8s_kuma_io_name"] == "web-0"


def test_the_zone_is_a_label_or_a_tag() -> None:
    assert described(labels={"kuma.io/zone": "east"}).zone == "east"
    assert described(networking=inbounds({"kuma.io/zone": "west"})).zone == "west"
    assert described().zone == ""
