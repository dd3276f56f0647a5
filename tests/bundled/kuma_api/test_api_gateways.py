"""Built-in gateways have the label of MADS that names their MeshGateway."""

from collections.abc import Mapping
from typing import Any

import pytest
from recorded_api import RecordedApi, poller, targets

from kuma_sd_bundled.kuma_api.documents import MeshGateway, ResourceKey, Selector

METRICS = {"enabledBackend": "p", "backends": [{"name": "p", "type": "prometheus", "conf": {"port": 1, "path": "/m"}}]}
TAGS = {"kuma.io/service": "edge", "region": "eu"}


def listed(*items: Mapping[str, Any]) -> dict[str, Any]:
    return {"status": 200, "body": {"items": list(items), "total": len(items), "next": None}}


def gateway(name: str, mesh: str = "default", **match: str) -> dict[str, Any]:
    return {"type": "MeshGateway", "mesh": mesh, "name": name, "selectors": [{"match": match}]}


def api(kind: str = "BUILTIN", *gateways: Mapping[str, Any]) -> RecordedApi:
    networking = {"address": "192.0.2.1", "gateway": {"type": kind, "tags": TAGS}}
    return RecordedApi(
        {
            "GET /": {"status": 200, "body": {"version": "2.14.3"}},
            "GET /meshes?size=1000": listed({"name": "default", "metrics": METRICS}),
            "GET /meshmetrics?size=1000": listed(),
            "GET /dataplanes?size=1000": listed({"mesh": "default", "name": "edge-0", "networking": networking}),
            "GET /meshgateways?size=1000": listed(*gateways),
        }
    )


def label(answers: RecordedApi) -> str | None:
    [target] = targets(poller().poll(answers)).values()
    return target.labels.get("kuma_io_mesh_gateway")


def test_the_most_specific_selector_names_the_gateway() -> None:
    several = (
        gateway("a-wildcard", region="*", **{"kuma.io/service": "*"}),
        gateway("b-one", region="eu"),
        gateway("c-both", region="eu", **{"kuma.io/service": "edge"}),
        gateway("d-both", region="eu", **{"kuma.io/service": "edge"}),
        gateway("e-elsewhere", mesh="other", region="eu", **{"kuma.io/service": "edge"}),
    )
    assert label(api("BUILTIN", *several)) == "c-both"
    assert label(api("BUILTIN", *several[:2])) == "b-one"
    assert label(api("BUILTIN", several[0])) == "a-wildcard"


@pytest.mark.parametrize("match", [{"region": "us"}, {"zone": "*"}])
def test_a_gateway_that_nothing_selects_has_no_such_label(match: dict[str, str]) -> None:
    assert label(api("BUILTIN", gateway("other", **match))) is None


def test_delegated_gateways_have_no_such_label_and_nobody_asks() -> None:
    answers = api("DELEGATED", gateway("all", region="eu"))
    assert label(answers) is None
    assert "/meshgateways?size=1000" not in answers.asked


def test_a_kuma_without_gateways_is_asked_in_vain() -> None:
    answers = api("BUILTIN")
    del answers.answers["/meshgateways?size=1000"]
    assert label(answers) is None


def test_another_gateway_is_a_change_of_its_dataplanes_alone() -> None:
    polling, answers = poller(), api("BUILTIN", gateway("first", region="eu"))
    [before] = polling.poll(answers).assignments
    answers.answers["/meshgateways?size=1000"] = listed(gateway("second", region="eu"))
    [after] = polling.poll(answers).assignments
    assert (before.key, before.read().labels["kuma_io_mesh_gateway"]) == (after.key, "first")
    assert after.read().labels["kuma_io_mesh_gateway"] == "second"
    [same] = polling.poll(answers).assignments
    assert same is after


def test_the_key_of_a_gateway_is_its_mesh_and_name() -> None:
    assert MeshGateway("edge", "default", [Selector()]).key == ResourceKey("default", "edge")
