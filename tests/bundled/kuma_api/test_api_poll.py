"""Lists that do not fit together take nothing away, and what is gone goes."""

import copy
from collections.abc import Iterable
from typing import Any

import pytest
from recorded_api import DATA, RecordedApi, poller, recording, targets

from kuma_sd import SourceError, TransformError
from kuma_sd_bundled.kuma_api.absences import MOST_QUESTIONS
from kuma_sd_bundled.kuma_api.errors import NotFoundError
from kuma_sd_bundled.kuma_api.poll import Poller
from kuma_sd_bundled.kuma_api.remarks import DATAPLANES as DATAPLANES_DOUBT

DATAPLANES = "/dataplanes?size=1000"
POLICIES = "/meshmetrics?size=1000"
MATCHES_OF_APIS = "/meshes/default/meshmetrics/apis/_resources/dataplanes?size=1000"

Target = tuple[str, str]


class Api(RecordedApi):
    """What was recorded, to be changed. A dataplane can be asked for as long as it is in the store."""

    def __init__(self, step: str = "kuma-2.6.15/4-another") -> None:
        super().__init__(copy.deepcopy(recording(DATA / f"{step}.json")["api"]))
        for item in self.items(DATAPLANES):
            self.answers[path_of(item)] = {"status": 200, "body": copy.deepcopy(item)}

    def items(self, path: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.answers[path]["body"]["items"]
        return found

    def drop(self, path: str, *names: str, consistent: bool = False) -> None:
        """Leave items out of a list; its total still counts them unless it is to be consistent."""
        body = self.answers[path]["body"]
        body["items"] = [item for item in body["items"] if item["name"] not in names]
        if consistent:
            body["total"] = len(body["items"])

    def delete(self, name: str) -> None:
        """Delete a dataplane from the store, but from no list."""
        for path in [path for path in self.answers if f"/dataplanes/{name}" in path]:
            del self.answers[path]

    @property
    def asked_dataplanes(self) -> list[str]:
        return [path for path in self.asked if path in self.answers and "/dataplanes/" in path and "_" not in path]


def path_of(item: dict[str, Any]) -> str:
    return f"/meshes/{item['mesh']}/dataplanes/{item['name']}"


def polled(polling: Poller, api: RecordedApi) -> set[Target]:
    return set(targets(polling.poll(api)))


def after(api: RecordedApi, names: Iterable[Target] = ()) -> tuple[Poller, set[Target]]:
    """Return a poller that has seen what was recorded, and its targets without some."""
    polling = poller()
    return polling, polled(polling, api) - set(names)


def test_what_is_missing_in_a_list_that_does_not_fit_stays_if_it_can_be_asked_for() -> None:
    polling, expected = after(Api())
    api = Api()
    api.drop(DATAPLANES, "edge-0")
    found = polling.poll(api)
    assert set(targets(found)) == expected
    assert found.doubts == (DATAPLANES_DOUBT,)
    assert api.asked_dataplanes == ["/meshes/default/dataplanes/edge-0"]


def test_what_is_missing_and_cannot_be_asked_for_is_gone() -> None:
    polling, expected = after(Api(), [("default", "edge-0")])
    api = Api()
    api.drop(DATAPLANES, "edge-0")
    api.delete("edge-0")
    assert polled(polling, api) == expected


def test_what_a_gateway_does_not_find_is_not_gone() -> None:
    class BehindAGateway(Api):
        def __call__(self, path: str) -> bytes:
            if path in self.answers or "/dataplanes/" not in path:
                return super().__call__(path)
            raise NotFoundError(path)

    polling, expected = after(Api())
    api = BehindAGateway()
    api.drop(DATAPLANES, "edge-0")
    api.delete("edge-0")
    assert polled(polling, api) == expected


def test_what_is_missing_in_a_list_that_fits_is_gone_and_nobody_asks() -> None:
    polling, expected = after(Api(), [("default", "edge-0")])
    api = Api()
    api.drop(DATAPLANES, "edge-0", consistent=True)
    assert polled(polling, api) == expected
    assert not api.asked_dataplanes


def test_what_is_new_or_changed_passes_also_in_a_list_that_does_not_fit() -> None:
    polling, expected = after(Api())
    api = Api()
    fresh = copy.deepcopy(api.items(DATAPLANES)[1]) | {"name": "api-9"}
    api.items(DATAPLANES)[1]["networking"]["address"] = "192.0.2.250"
    api.items(DATAPLANES).append(fresh)
    api.items("/meshes/default/meshmetrics/all/_resources/dataplanes?size=1000").append(fresh)
    api.answers["/meshes/default/meshmetrics/all/_resources/dataplanes?size=1000"]["body"]["total"] += 1
    found = targets(polling.poll(api))
    assert set(found) == expected | {("default", "api-9")}
    assert found["default", "api-0"].address.startswith("192.0.2.250:")


def test_a_hundred_are_asked_for_in_a_poll_and_the_others_in_the_next() -> None:
    api = Api("kuma-2.6.15/8-mesh-metrics-alone")
    [dark] = [item for item in api.items(DATAPLANES) if item["mesh"] == "dark"]
    many = [dark | {"name": f"dark-{number:03}"} for number in range(250)]
    api.items(DATAPLANES)[:] = many
    api.answers[DATAPLANES]["body"]["total"] = len(many)
    polling, expected = after(api)
    assert len(expected) == len(many)
    api.items(DATAPLANES).clear()
    # None of them is in the store.
    left = [len(polled(polling, api)) for _ in range(3)]
    assert left == [250 - MOST_QUESTIONS, 250 - 2 * MOST_QUESTIONS, 0]


def test_a_dataplane_that_is_missing_among_the_matches_keeps_its_policies() -> None:
    polling, _ = after(Api())
    api = Api()
    api.drop(MATCHES_OF_APIS, "api-0")
    found = polling.poll(api)
    assert targets(found)["default", "api-0"].metrics_path == "/api"
    assert found.doubts == ("the pages of the list of what policy default/apis matches do not fit together",)


def test_a_dataplane_that_no_policy_matches_any_more_stays_until_the_lists_fit() -> None:
    whole, policy = "kuma-2.6.15/6-without-a-policy-for-all", MATCHES_OF_APIS
    polling, expected = after(Api(whole))
    api = Api(whole)
    api.drop(policy, "api-0")
    assert polled(polling, api) == expected
    api.drop(policy, "api-0", consistent=True)
    assert polled(polling, api) == expected - {("default", "api-0")}


def test_a_policy_that_is_deleted_during_the_poll_takes_nothing_away_until_the_next() -> None:
    whole = "kuma-2.6.15/6-without-a-policy-for-all"
    polling, expected = after(Api(whole))
    api = Api(whole)
    del api.answers[MATCHES_OF_APIS]
    assert polled(polling, api) == expected
    api.drop(POLICIES, "apis", consistent=True)
    assert polled(polling, api) == {target for target in expected if target[0] == "payments"}


def test_policies_that_change_during_the_poll_take_nothing_away() -> None:
    class Changing(Api):
        def __call__(self, path: str) -> bytes:
            answer = super().__call__(path)
            if path == POLICIES:
                self.drop(POLICIES, "apis", consistent=True)
            return answer

    whole = "kuma-2.6.15/6-without-a-policy-for-all"
    polling, expected = after(Api(whole))
    api = Changing(whole)
    api.drop(MATCHES_OF_APIS, "api-0", consistent=True)
    found = polling.poll(api)
    assert set(targets(found)) == expected
    assert found.doubts == ("policies changed while the lists were read",)


def test_a_policy_that_cannot_be_understood_takes_nothing_away() -> None:
    whole = "kuma-2.6.15/6-without-a-policy-for-all"
    polling, expected = after(Api(whole))
    api = Api(whole)
    [apis] = [item for item in api.items(POLICIES) if item["name"] == "apis"]
    apis["spec"] = {"default": {"backends": "none"}}
    found = polling.poll(api)
    assert set(targets(found)) == expected
    [doubt] = found.doubts
    assert doubt.startswith("policies: default/apis cannot be read (Expected `array | null`, got `str`")


def test_a_policy_that_is_missing_in_a_list_that_does_not_fit_still_says_where_metrics_are() -> None:
    polling, _ = after(Api())
    api = Api()
    api.drop(POLICIES, "apis")
    assert targets(polling.poll(api))["default", "api-0"].metrics_path == "/api"
    api.drop(POLICIES, "apis", consistent=True)
    assert targets(polling.poll(api))["default", "api-0"].metrics_path == "/metrics"


def test_policies_of_another_kind_in_shadow_and_for_targets_of_the_future_do_no_harm() -> None:
    expected = polled(poller(), Api())
    api = Api()
    shadow, future, other = (copy.deepcopy(api.items(POLICIES)[0]) for _ in range(3))
    shadow |= {"name": "shadow", "labels": {"kuma.io/effect": "shadow"}}
    future |= {"name": "future", "spec": {"targetRef": {"kind": "MeshOfTomorrow"}, "default": {"sidecar": {}}}}
    other |= {"name": "other", "type": "MeshMystery", "spec": {"default": {"backends": []}}}
    api.items(POLICIES).extend([shadow, future, other])
    api.answers[POLICIES]["body"]["total"] += 3
    found = poller().poll(api)
    assert set(targets(found)) == expected
    assert not found.doubts


def test_rules_are_asked_of_another_dataplane_where_the_first_was_deleted() -> None:
    api = Api()
    del api.answers["/meshes/default/dataplanes/api-0/_rules"]
    found = poller().poll(api)
    assert targets(found)["default", "api-1"].metrics_path == "/api"
    assert not found.doubts


def test_where_no_rules_can_be_had_others_are_published_and_nothing_vanishes() -> None:
    polling, expected = after(Api())
    for polling_now, left in (
        (polling, expected),
        (poller(), {target for target in expected if target[0] != "default"}),
    ):
        api = Api()
        for path in [path for path in api.answers if path.endswith("/_rules")]:
            del api.answers[path]
        api.items(POLICIES)[0]["modificationTime"] = "2026-12-01T00:00:00Z"
        found = polling_now.poll(api)
        assert set(targets(found)) >= left
        assert any("_rules, which Kuma has since 2.6" in doubt for doubt in found.doubts)


def test_a_dataplane_that_cannot_be_understood_is_there_but_cannot_be_read() -> None:
    api = Api()
    [edge] = [item for item in api.items(DATAPLANES) if item["name"] == "edge-0"]
    edge["networking"] = "none"
    found = poller().poll(api)
    assert not found.unreadable
    [assignment] = [assignment for assignment in found.assignments if assignment.key.name == "edge-0"]
    with pytest.raises(TransformError, match="cannot be read"):
        assignment.read()


def test_a_dataplane_without_a_name_is_unreadable_and_what_vanished_with_it_is_asked_for() -> None:
    polling, expected = after(Api(), [("default", "edge-0")])
    api = Api()
    [edge] = [item for item in api.items(DATAPLANES) if item["name"] == "edge-0"]
    del edge["name"]
    found = polling.poll(api)
    assert len(found.unreadable) == 1
    assert set(targets(found)) == expected | {("default", "edge-0")}
    api.delete("edge-0")
    assert polled(polling, api) == expected


def test_a_list_in_which_nothing_can_be_understood_is_no_answer() -> None:
    api = Api()
    for item in api.items(DATAPLANES):
        del item["name"]
    with pytest.raises(SourceError, match="no dataplane"):
        poller().poll(api)


def test_a_question_that_is_answered_with_another_dataplane_proves_nothing() -> None:
    polling, expected = after(Api())
    api = Api()
    api.drop(DATAPLANES, "edge-0")
    api.answers["/meshes/default/dataplanes/edge-0"] = api.answers["/meshes/default/dataplanes/api-0"]
    assert polled(polling, api) == expected


@pytest.mark.parametrize(("version", "fails"), [("2.5.9", False), ("unknown", False), ("2.6.0", True), ("3.0.0", True)])
def test_only_an_old_kuma_has_no_policies(version: str, fails: bool) -> None:  # noqa: FBT001 (it is a fact)
    api = Api("kuma-2.6.15/8-mesh-metrics-alone")
    api.answers["/"]["body"]["version"] = version
    del api.answers[POLICIES]
    if fails:
        with pytest.raises(SourceError, match="port 5681"):
            poller().poll(api)
    else:
        assert polled(poller(), api) == {("dark", "dark-0")}


def test_where_the_version_cannot_be_asked_the_rest_says_enough() -> None:
    api = Api()
    expected = polled(poller(), api)
    del api.answers["/"]
    assert polled(poller(), api) == expected


def test_a_poll_that_fails_in_the_middle_leaves_everything_as_it_was() -> None:
    class Failing(Api):
        def __call__(self, path: str) -> bytes:
            if path == MATCHES_OF_APIS:
                raise SourceError("no answer")
            return super().__call__(path)

    polling, expected = after(Api())
    with pytest.raises(SourceError, match="no answer"):
        polling.poll(Failing())
    first = polling._reader.converted
    assert polled(polling, Api()) == expected
    assert polling._reader.converted == first


def test_nothing_there_is_an_error_of_its_own() -> None:
    with pytest.raises(NotFoundError):
        poller().poll(RecordedApi({"GET /": {"status": 200, "body": {}}, "GET /meshes": {"status": 404}}))
