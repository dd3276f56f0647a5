"""The lists of a simulated API server are those of Kuma, with its quirks."""

import contextlib
import socket
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from raw_http import HttpConnection, Reply

from kuma_sd.simulator import ApiServer, Dataplane, SimulatedControlPlane, World, kuma

TAGS = {"env": "prod", "envs": ",prod,", "kuma_io_service": "web", "kuma_io_services": ",web,web-admin,"}


def worlds() -> World:
    plain = [Dataplane(f"web-{number}", labels=TAGS, service="web") for number in range(3)]
    return World([*plain, Dataplane("own", metrics_path="/own"), Dataplane("pay", mesh="payments", address="[::1]:1")])


@contextlib.contextmanager
def asked(version: str, world: World | None = None, client: str = "", **how: Any) -> Iterator[HttpConnection]:
    api = ApiServer(**how)
    with SimulatedControlPlane(
        worlds() if world is None else world, refresh=0, line=kuma(version), api=api
    ) as control_plane:
        control_plane.serve_only(*([client] if client else []))
        connection = HttpConnection(api.address)
        try:
            yield connection
        finally:
            connection.close()


def names(reply: Reply) -> list[str]:
    assert reply.status == 200
    return [item["name"] for item in reply.json["items"]]


def test_lists_come_in_pages_in_order_of_mesh_and_name() -> None:
    with asked("2.14.3") as api:
        first = api.send("GET", "/dataplanes?size=3", Host="kuma.example:1")
        assert (names(first), first.json["total"]) == (["own", "web-0", "web-1"], 5)
        assert first.json["next"] == "http://kuma.example:1/dataplanes?offset=3&size=3"
        last = api.send("GET", "/dataplanes?offset=3&size=3")
        assert (names(last), last.json["next"]) == (["web-2", "pay"], None)
        assert names(api.send("GET", "/meshes/payments/dataplanes")) == ["pay"]
        assert names(api.send("GET", "/meshes")) == ["default", "payments"]


@pytest.mark.parametrize("query", ["size=1001", "size=0", "size=-1", "size=x", "offset=x", "size="])
def test_other_pages_are_refused(query: str) -> None:
    with asked("2.14.3") as api:
        assert api.send("GET", f"/dataplanes?{query}").status == 400


def test_a_page_is_of_the_moment_at_which_it_is_asked_for() -> None:
    world = worlds()
    with asked("2.14.3", world) as api:
        api.send("GET", "/dataplanes?size=3")
        world.remove("own")
        # web-2 moved to the first page after that was read.
        assert names(api.send("GET", "/dataplanes?offset=3&size=3")) == ["pay"]


@pytest.mark.parametrize("version", ["0.7.3", "1.2.3", "2.5.0", "2.6.15", "2.14.3"])
def test_up_to_kuma_2_meshes_and_dataplanes_say_where_metrics_are(version: str) -> None:
    with asked(version) as api:
        [default, payments] = api.send("GET", "/meshes").json["items"]
        assert default["metrics"]["backends"][0]["conf"]["port"] == 5670
        assert payments["metrics"]["backends"][0]["conf"]["port"] == 1
        [own, web, *_] = api.send("GET", "/dataplanes").json["items"]
        assert own["metrics"]["conf"]["path"] == "/own"
        assert "metrics" not in web
        assert [inbound["tags"]["kuma.io/service"] for inbound in web["networking"]["inbound"]] == ["web", "web-admin"]


def test_an_empty_list_is_a_whole_one() -> None:
    with asked("2.14.3", World()) as api:
        assert api.send("GET", "/dataplanes").json == {"total": 0, "items": [], "next": None}


@pytest.mark.parametrize("version", ["0.7.3", "2.5.0"])
def test_before_kuma_2_6_there_are_no_policies(version: str) -> None:
    with asked(version) as api:
        assert api.send("GET", "/meshmetrics").status == 404


@pytest.mark.parametrize(("version", "client", "third"), [("2.6.15", "prometheus", False), ("3.0", "", True)])
def test_policies_say_where_metrics_are_and_what_they_match(version: str, client: str, third: bool) -> None:  # noqa: FBT001 (it is a fact)
    with asked(version, client=client) as api:
        assert names(api.send("GET", "/meshes/default/meshmetrics?size=1000")) == ["all", "http-5670-own"]
        path = "/meshes/default/meshmetrics/{}/_resources/dataplanes?size=1000"
        assert names(api.send("GET", path.format("all"))) == ["own", "web-0", "web-1", "web-2"]
        own = api.send("GET", path.format("http-5670-own"))
        assert names(own) == ["own"]
        assert ("labels" in own.json["items"][0]) is third
        assert api.send("GET", path.format("nothing")).status == 404
        rule = api.send("GET", "/meshes/default/dataplanes/own/_rules").json["rules"][0]["proxyRule"]
        assert [origin["name"] for origin in rule["origin"]] == ["all", "http-5670-own"]
        [backend] = rule["conf"]["backends"]
        assert backend["prometheus"].get("clientId", "") == client
        assert backend["prometheus"]["path"] == "/own"


@pytest.mark.parametrize(("version", "status"), [("2.6.15", 404), ("2.14.3", 400)])
def test_policies_of_a_dataplane_are_refused(version: str, status: int) -> None:
    with asked(version) as api:
        assert api.send("GET", "/meshes/default/dataplanes/own/_policies").status == status


def test_a_dataplane_is_there_or_not() -> None:
    with asked("2.14.3") as api:
        assert api.send("GET", "/meshes/default/dataplanes/own").json["name"] == "own"
        assert api.send("GET", "/meshes/default/dataplanes/gone").status == 404


def test_in_kuma_3_dataplanes_have_labels_in_the_place_of_tags() -> None:
    with asked("3.0") as api:
        web = api.send("GET", "/dataplanes").json["items"][1]
        assert (web["labels"]["env"], web["labels"]["app"]) == ("prod", "web")
        assert all("tags" not in inbound for inbound in web["networking"]["inbound"])


@pytest.mark.parametrize(("version", "tagline"), [("2.14.3", True), ("3.0", False)])
def test_the_index_says_the_version(version: str, tagline: bool) -> None:  # noqa: FBT001 (it is a fact)
    with asked(version) as api:
        index: Mapping[str, Any] = api.send("GET", "/").json
        assert index["version"].split(".")[0] == version[0]
        assert ("tagline" in index) is tagline


def test_a_global_control_plane_names_dataplanes_with_a_hash_and_says_zones() -> None:
    with asked("2.14.3", zones=["east", "west"]) as api:
        items = api.send("GET", "/meshes/default/dataplanes").json["items"]
        assert all(item["name"].startswith(f"{item['labels']['kuma.io/display-name']}-") for item in items)
        assert {item["labels"]["kuma.io/zone"] for item in items} <= {"east", "west"}


@pytest.mark.parametrize(
    ("version", "how", "mads"),
    [
        ("3.0", {"kubernetes": True}, False),
        ("3.0", {}, True),
        ("2.14.3", {"kubernetes": True}, True),
        ("2.14.3", {"zones": ["east"]}, False),
    ],
)
def test_mads_is_missing_on_global_control_planes_and_in_kuma_3_on_kubernetes(
    version: str,
    how: dict[str, Any],
    mads: bool,  # noqa: FBT001 (it is a fact)
) -> None:
    api = ApiServer(**how)
    with SimulatedControlPlane(worlds(), line=kuma(version), api=api) as control_plane:
        assert control_plane.url.startswith("http://" if mads else "kuma-api+http://")
        host, _, port = control_plane.address.rpartition(":")
        with contextlib.ExitStack() as stack:
            if not mads:
                stack.enter_context(pytest.raises(ConnectionRefusedError))
            socket.create_connection((host, int(port) or 9), timeout=5).close()
