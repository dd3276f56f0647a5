"""The API and MADS of real control planes say the same."""

import copy
from pathlib import Path

import msgspec
import pytest
from recorded_api import DATA, STEPS, VERSIONS, RecordedApi, mads_targets, poller, recording, targets

from kuma_sd import Target

CLIENTS = ("kuma_sd", "second")


def without_labels(found: dict[tuple[str, str], Target]) -> dict[tuple[str, str], Target]:
    return {key: msgspec.structs.replace(target, labels={}, job="") for key, target in found.items()}


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("step", STEPS, ids=lambda step: f"{step.parent.name}-{step.stem}")
def test_each_step_gives_the_targets_of_mads_to_each_client(step: Path, client: str) -> None:
    recorded = recording(step)
    found = poller(client).poll(RecordedApi(recorded["api"]))
    assert not found.doubts
    assert not found.unreadable
    assert without_labels(targets(found)) == without_labels(mads_targets(recorded["mads"][client]["body"]))


@pytest.mark.parametrize("client", CLIENTS)
@pytest.mark.parametrize("version", VERSIONS)
def test_a_whole_story_gives_the_targets_of_mads_after_each_step(version: str, client: str) -> None:
    polled = poller(client)
    for step in sorted((DATA / version).glob("*.json")):
        recorded = recording(step)
        found = targets(polled.poll(RecordedApi(recorded["api"])))
        assert without_labels(found) == without_labels(mads_targets(recorded["mads"][client]["body"])), step.stem


@pytest.mark.parametrize("step", [step for step in STEPS if "2.6" in step.parent.name], ids=lambda step: step.stem)
def test_where_mads_sends_labels_those_of_the_api_are_the_same(step: Path) -> None:
    recorded = recording(step)
    assert targets(poller().poll(RecordedApi(recorded["api"]))) == mads_targets(recorded["mads"]["kuma_sd"]["body"])


def test_in_kuma_3_labels_come_from_labels_and_the_job_from_the_first_that_is_there() -> None:
    recorded = recording(DATA / "kuma-head" / "1-one-policy.json")
    found = targets(poller().poll(RecordedApi(recorded["api"])))
    web = found["default", "web-0"]
    assert (web.service, web.job) == ("unknown", "web")
    assert (web.labels["app"], web.labels["apps"], web.labels["kuma_io_zone"]) == ("web", ",web,", "zone-1")
    api = found["default", "api-0"]
    assert (api.service, api.job) == ("api-workload", "")


@pytest.mark.parametrize("version", ["global-2.14.3", "global-head"])
def test_a_global_control_plane_gives_the_targets_of_the_zone(version: str) -> None:
    recorded = recording(DATA / f"{version}.json")
    found = poller().poll(RecordedApi(recorded["api"]))
    assert without_labels(targets(found)) == without_labels(mads_targets(recorded["mads-of-the-zone"]))
    [assignment] = found.assignments
    assert assignment.key.name == "web-0-b88bvb4742d5xc48"
    assert assignment.read().labels["kuma_io_zone"] == "east"
    assert found.remote
    assert found.zones == {"east"}


def test_zones_restrict_what_is_published() -> None:
    recorded = recording(DATA / "global-head.json")
    assert not poller(zones=("west",)).poll(RecordedApi(recorded["api"])).assignments
    [left_out] = poller().poll(RecordedApi(recorded["api"])).assignments
    assert left_out.key not in poller(zones=("east",)).poll(RecordedApi(recorded["api"])).left_out
    assert left_out.key not in poller().poll(RecordedApi(recorded["api"])).left_out
    # A zone without any dataplane may be misspelt.
    assert left_out.key not in poller(zones=("west",)).poll(RecordedApi(recorded["api"])).left_out
    items = recorded["api"]["GET /meshes/default/dataplanes?size=1000"]["body"]
    far = copy.deepcopy(items["items"][0]) | {"name": "far"}
    far["labels"]["kuma.io/zone"] = "west"
    items["items"].insert(0, far)
    items["total"] += 1
    assert left_out.key in poller(zones=("west",)).poll(RecordedApi(recorded["api"])).left_out
    assert len(poller(zones=("west", "east")).poll(RecordedApi(recorded["api"])).assignments) == 1


def test_one_look_at_the_rules_is_enough_for_each_set_of_policies() -> None:
    recorded = recording(DATA / "kuma-2.6.15" / "4-another.json")
    polled, first, second = poller(), RecordedApi(recorded["api"]), RecordedApi(recorded["api"])
    polled.poll(first)
    polled.poll(second)
    looks = [path for path in first.asked if path.endswith("/_rules")]
    assert looks == ["/meshes/default/dataplanes/api-0/_rules", "/meshes/default/dataplanes/web-0/_rules"]
    assert not [path for path in second.asked if path.endswith("/_rules")]


def test_what_did_not_change_is_not_converted_and_stays_the_same_object() -> None:
    api = recording(DATA / "kuma-2.6.15" / "4-another.json")["api"]
    polled = poller()
    first = polled.poll(RecordedApi(api)).assignments
    converted = polled._reader.converted
    moved = next(item for item in api["GET /dataplanes?size=1000"]["body"]["items"] if item["name"] == "edge-0")
    moved["networking"]["address"] = "192.0.2.200"
    second = polled.poll(RecordedApi(api)).assignments
    assert polled._reader.converted == converted + 1
    changed = [(old.key.name, new.read().address) for old, new in zip(first, second, strict=True) if old is not new]
    assert changed == [("edge-0", "192.0.2.200:5670")]
