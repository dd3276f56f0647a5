import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from raw_client import Connect
from raw_http import HttpConnection

from kuma_sd import ConfigError
from kuma_sd.proto.discovery_pb2 import DiscoveryResponse
from kuma_sd.simulator import Recording, SimulatedControlPlane, kuma
from kuma_sd.simulator.encoders import GrpcV1, GrpcV1alpha1

STORY = ["0-empty", "1-seeded", "2-three-added", "3-tag-changed", "4-two-deleted", "5-restarted-empty", "6-reseeded"]
POLICIES = ["7-meshmetric-for-client-kuma_sd", "8-meshmetric-for-other-client"]


def resources(response: DiscoveryResponse) -> list[tuple[str, bytes]]:
    return sorted((resource.type_url, resource.value) for resource in response.resources)


@pytest.mark.parametrize(
    ("version", "form", "steps"),
    [
        ("0.7.3", GrpcV1alpha1, STORY),
        ("1.2.3", GrpcV1alpha1, STORY),
        ("1.2.3", GrpcV1, STORY),
        ("2.6.15", GrpcV1, STORY + POLICIES),
    ],
)
def test_a_replayed_recording_comes_out_as_it_was_recorded(
    data: Path, connect: Connect, version: str, form: type[GrpcV1 | GrpcV1alpha1], steps: list[str]
) -> None:
    folder = data / f"kuma-{version}"
    recording = Recording(folder)
    assert [step.name for step in recording.steps] == steps
    with SimulatedControlPlane(recording, refresh=0) as control_plane:
        client = connect(control_plane.address, form.method)
        client.ask(type_url=form.type_url)
        for name, path in last_responses(folder, form.transport):
            assert recording.step.name == name
            response = client.receive()
            assert resources(response) == resources(DiscoveryResponse.FromString(path.read_bytes()))
            client.ask(response.version_info, response.nonce, type_url=form.type_url)
            control_plane.wait_for(lambda counts, n=int(response.nonce): counts.acks == n)  # type: ignore[misc]
            recording.advance()
    assert recording.upcoming is None


@pytest.mark.parametrize("version", ["1.2.3", "2.6.15", "2.14.3"])
def test_over_http_too(data: Path, version: str) -> None:
    folder = data / f"kuma-{version}"
    with SimulatedControlPlane(Recording(folder), refresh=0) as control_plane:
        client, present = HttpConnection(control_plane.address), ""
        for name, path in last_responses(folder, "http-v1"):
            while control_plane.world.step.name != name:
                control_plane.world.advance()
            reply, recorded = client.poll(present), json.loads(path.read_bytes())
            present = reply.json["version_info"]
            assert sorted(map(json.dumps, reply.json.pop("resources", []))) == sorted(
                map(json.dumps, recorded.pop("resources", []))
            )
            assert reply.json.keys() - {"resources"} == recorded.keys()
        client.close()


def last_responses(folder: Path, transport: str) -> Iterator[tuple[str, Path]]:
    """Yield each step mark before which something was answered, with the last answer, read independently."""
    response, told = "", ""
    for line in (folder / "events.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event.get("kind") == transport and event["dir"] == "response" and event["file"]:
            response = event["file"]
        if "step" in event and response != told:
            told = response
            yield event["step"], folder / response


def test_the_restart_of_the_recorded_control_plane_is_known(data: Path) -> None:
    for version in ("0.7.3", "1.2.3", "2.6.15", "2.14.3"):
        recording = Recording(data / f"kuma-{version}")
        assert [step.name for step in recording.steps if step.restarted] == ["5-restarted-empty"]


def test_it_stays_at_the_last_step(data: Path) -> None:
    recording = Recording(data / "kuma-1.2.3")
    told = []
    recording.subscribe(lambda: told.append(recording.step.name))
    for _ in range(10):
        recording.advance()
    assert told == STORY[1:]
    assert recording.step.name == "6-reseeded"


def test_a_recording_without_the_protocol_is_refused(data: Path) -> None:
    with pytest.raises(ConfigError, match="holds nothing over grpc-v1alpha1"):
        SimulatedControlPlane(Recording(data / "kuma-2.14.3"), line=kuma("0.7.3")).start()


@pytest.mark.parametrize("content", [None, "", "{}", "[]\n", "no json", '{"step": "1"}', '{"dir": "response"}'])
def test_a_folder_that_is_no_recording_is_refused(tmp_path: Path, content: str | None) -> None:
    if content is not None:
        (tmp_path / "events.jsonl").write_text(content)
    with pytest.raises(ConfigError, match=str(tmp_path)) as error:
        Recording(tmp_path)
    assert "\n" not in str(error.value)


def test_a_recorded_response_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    (tmp_path / "events.jsonl").write_text('{"kind": "grpc-v1", "dir": "response", "file": "a"}\n{"step": "1"}\n')
    (tmp_path / "a").write_bytes(b"\x12\x7f")
    with pytest.raises(ConfigError, match="grpc-v1"):
        Recording(tmp_path).renderer(GrpcV1())
