"""The recorded answers of API servers, as something to ask."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from kuma_sd import Target
from kuma_sd_bundled.kuma_api.dataplanes import DataplaneReader
from kuma_sd_bundled.kuma_api.errors import DeletedError
from kuma_sd_bundled.kuma_api.inventory import Inventory
from kuma_sd_bundled.kuma_api.options import SERVICE_LABELS
from kuma_sd_bundled.kuma_api.poll import Findings, Poller

DATA = Path(__file__).parents[1] / "data" / "api"
VERSIONS = sorted(path.name for path in DATA.iterdir() if path.is_dir())
STEPS = sorted(DATA.glob("kuma-*/*.json"))


class RecordedApi:
    """Answers what was recorded, and remembers what was asked."""

    def __init__(self, api: Mapping[str, Any]) -> None:
        self.answers = {path.removeprefix("GET "): answer for path, answer in api.items()}
        if "/meshes?size=1000" not in self.answers:
            self.answers["/meshes"] = {"status": 200, "body": {"items": [{"name": "default"}], "total": 1}}
        self.asked: list[str] = []

    def __call__(self, path: str) -> bytes:
        self.asked.append(path)
        # Of global control planes only the lists of one mesh were recorded, some without the size of pages.
        of_one_mesh = f"/meshes/default{path}"
        spellings = (path, path.partition("?")[0], of_one_mesh, of_one_mesh.partition("?")[0])
        answer = next((self.answers[each] for each in spellings if each in self.answers), None)
        if answer is None or answer["status"] == 404:
            raise DeletedError(f"nothing was recorded for {path}")
        assert answer["status"] == 200
        return json.dumps(answer["body"]).encode()


def recording(step: Path) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads(step.read_bytes())
    return loaded


def poller(client: str = "kuma_sd", zones: tuple[str, ...] = (), control_plane: str = "") -> Poller:
    return Poller(client, DataplaneReader(SERVICE_LABELS), Inventory(control_plane, zones))


def targets(findings: Findings) -> dict[tuple[str, str], Target]:
    read = [assignment.read() for assignment in findings.assignments]
    return {(target.mesh, target.name): target for target in read}


def mads_targets(body: Mapping[str, Any]) -> dict[tuple[str, str], Target]:
    """Return what MADS said over HTTP."""
    found = {}
    for resource in body.get("resources", []):
        [target] = resource["targets"]
        found[resource["mesh"], target["name"]] = Target(
            control_plane="",
            mesh=resource["mesh"],
            service=resource.get("service", ""),
            name=target["name"],
            address=target["address"],
            scheme=target["scheme"],
            metrics_path=target["metrics_path"],
            labels=target.get("labels", {}),
        )
    return found
