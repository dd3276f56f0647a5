"""The recorded traffic of real control planes, as the tests use it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from kuma_sd.mads.codecs import ResourceCodec
from kuma_sd.mads.codecs.v1 import V1_PROTOBUF
from kuma_sd.mads.codecs.v1_json import V1_JSON
from kuma_sd.mads.codecs.v1alpha1 import V1ALPHA1_PROTOBUF
from kuma_sd.mads.decoder import MadsResponse
from kuma_sd.proto.discovery_pb2 import ReceivedResponse

DATA = Path(__file__).parents[1] / "data"
FOLDERS = sorted(DATA.glob("kuma-*"))


@dataclass(frozen=True)
class Step:
    """What the last response of one kind before a step mark was, and what the Go program had written then."""

    name: str
    response: Path
    go: Path

    def __str__(self) -> str:
        return f"{self.response.parent.name}-{self.response.stem}-{self.name}"


def steps(kind: str, api: str) -> list[Step]:
    """Return all steps of all recordings with a response of this kind and a file of the Go program."""
    found = []
    for folder in FOLDERS:
        last: str | None = None
        for line in (folder / "events.jsonl").read_text().splitlines():
            event = json.loads(line)
            if event.get("kind") == kind and event.get("dir") == "response" and event["file"]:
                last = event["file"]
            go = folder / f"go-adapter-{api}.step-{event.get('step')}.json"
            if last and go.exists():
                found.append(Step(event["step"], folder / last, go))
    return found


def response(path: Path) -> MadsResponse:
    """Read a recorded response of any kind."""
    if path.suffix == ".json":
        body = json.loads(path.read_bytes())
        return MadsResponse(V1_JSON, [msgspec.json.encode(resource) for resource in body.get("resources", [])])
    codec: ResourceCodec = V1ALPHA1_PROTOBUF if "v1alpha1" in path.name else V1_PROTOBUF
    return MadsResponse(codec, ReceivedResponse.FromString(path.read_bytes()).resources)


Group = tuple[str, tuple[tuple[str, str], ...]]


def groups(parsed: list[dict[str, Any]]) -> set[Group]:
    """Return parsed target groups as a set, one address each."""
    return {(address, tuple(sorted(group["labels"].items()))) for group in parsed for address in group["targets"]}


def as_we_write(parsed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the Go program's groups with the differences that are intended: valid names, no empty values."""
    return [
        {
            "targets": group["targets"],
            "labels": {
                f"_{name}" if name[0].isdigit() else name: value for name, value in group["labels"].items() if value
            },
        }
        for group in parsed
    ]
