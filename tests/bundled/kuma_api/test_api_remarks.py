"""What is said of a poll without targets, and of lists that prove no absence."""

from collections.abc import Sequence

import pytest
from recorded_api import DATA, RecordedApi, poller, recording

from kuma_sd_bundled.kuma_api.documents import ResourceKey
from kuma_sd_bundled.kuma_api.endpoints import Client, PolicyEndpoints
from kuma_sd_bundled.kuma_api.remarks import names, why_empty


def api(step: str = "kuma-2.6.15/6-without-a-policy-for-all") -> RecordedApi:
    return RecordedApi(recording(DATA / f"{step}.json")["api"])


def test_no_dataplane_is_the_first_reason_for_no_target() -> None:
    assert poller().poll(api("kuma-head/0-empty")).why_empty == "the API lists no dataplane"


def test_zones_that_do_not_exist_are_named_with_those_that_do() -> None:
    found = poller(zones=("west", "north"))
    assert found.poll(api()).why_empty == "no dataplane is in 'zones' (north, west); there are zone-1"


def test_a_client_that_no_policy_names_is_told_whom_they_name() -> None:
    answers = api("kuma-head/6-without-a-policy-for-all")
    for item in answers.answers["/meshmetrics?size=1000"]["body"]["items"]:
        for backend in item["spec"]["default"]["backends"]:
            backend["prometheus"]["clientId"] = "second"
    why = poller().poll(answers).why_empty
    assert why == "no policy (MeshMetric) has metrics for the client 'kuma_sd' (name), only for 'second'"


def test_policies_that_match_nothing_are_said_to_match_nothing() -> None:
    answers = api()
    for path, answer in answers.answers.items():
        if "_resources" in path:
            answer["body"] |= {"items": [], "total": 0}
    why = poller().poll(answers).why_empty
    assert why == "no policy (MeshMetric) with metrics for the client 'kuma_sd' matches a dataplane"


def test_without_policies_and_metrics_of_meshes_both_are_missing() -> None:
    policies = PolicyEndpoints([], Client("me"))
    why = why_empty([ResourceKey("default", "a")], (), (), policies)
    assert why == "no policy (MeshMetric) has metrics for the client 'me', and no mesh has metrics"


def test_a_policy_whose_matches_are_not_known_is_named() -> None:
    answers = api()
    for path in [path for path in answers.answers if "/apis/_resources" in path]:
        del answers.answers[path]
    [doubt] = poller().poll(answers).doubts
    assert doubt == "the API does not say what policy default/apis matches (HTTP status 404)"


@pytest.mark.parametrize(
    ("several", "text"), [(["b", "a"], "a, b"), ("abcdefgh", "a, b, c, d, e and 3 more"), ([], "")]
)
def test_of_many_names_the_first_are_listed(several: Sequence[str], text: str) -> None:
    assert names(several) == text
