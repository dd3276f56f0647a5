"""Recorded traffic passes through the simulator and our client, over every transport, and comes out as it was."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from recordings import DATA, as_we_write, groups

from kuma_sd import Publication
from kuma_sd.mads.plugin import MadsOptions
from kuma_sd.mads.source import MadsSource
from kuma_sd.pipeline.chain import Chain
from kuma_sd.prometheus.label_profiles import LabelProfile
from kuma_sd.simulator import ApiServer, Recording, SimulatedControlPlane

# Each transport that was recorded: how to speak nothing else, and which files of the Go program belong to it.
TRANSPORTS: dict[str, tuple[dict[str, Any], str]] = {
    "grpc-v1alpha1": ({"transport": "grpc", "api_version": "v1alpha1"}, "v1alpha1"),
    "grpc-v1": ({"transport": "grpc", "api_version": "v1"}, "v1"),
    "http-v1": ({"transport": "http"}, "v1"),
}
RECORDED = [
    *[("0.7.3", "grpc-v1alpha1"), ("1.2.3", "grpc-v1alpha1"), ("1.2.3", "grpc-v1"), ("1.2.3", "http-v1")],
    *[("2.6.15", "grpc-v1"), ("2.6.15", "http-v1"), ("2.14.3", "http-v1")],
]
SCRAPE_CONFIGURATION = re.compile(r"^job$|^__.*_histograms_")


def last_files(folder: Path, transport: str) -> dict[str, str]:
    """Return the last recorded response before each step, read independently of the simulator."""
    files, last = {}, ""
    for line in (folder / "events.jsonl").read_text().splitlines():
        event = json.loads(line)
        if event.get("kind") == transport and event["dir"] == "response" and event["file"]:
            last = event["file"]
        if "step" in event and last:
            files[event["step"]] = last
    return files


def played(folder: Path, transport: str, profile: str) -> Iterator[tuple[str, Publication]]:
    """Play a recording and connect at each step; yields what we would publish."""
    options, _ = TRANSPORTS[transport]
    with SimulatedControlPlane(Recording(folder), refresh=0) as kuma:
        while True:
            source = MadsSource(kuma.url, MadsOptions(**options), "")
            snapshot = next(iter(source))
            source.close()
            assert snapshot.complete
            yield kuma.world.step.name, Chain(LabelProfile(profile)).publication(snapshot.assignments, received=1.0)
            upcoming = kuma.world.upcoming
            if not upcoming:
                return
            if upcoming.restarted:
                kuma.close()
            kuma.world.advance()
            if upcoming.restarted:
                kuma.start()


@pytest.mark.parametrize(("version", "transport"), RECORDED)
def test_a_recording_gives_the_files_of_the_go_program(version: str, transport: str) -> None:
    folder, compared = DATA / f"kuma-{version}", 0
    for step, publication in played(folder, transport, "kuma-prometheus-sd"):
        ours = [{"targets": group.targets, "labels": group.labels} for group in publication.groups]
        if "alpha" in transport:
            for group in ours:
                del group["labels"]["service"]  # type: ignore[attr-defined] # added to what the Go program wrote
        go = folder / f"go-adapter-{TRANSPORTS[transport][1]}.step-{step}.json"
        if go.exists():
            assert groups(ours) == groups(as_we_write(json.loads(go.read_bytes())))
            compared += 1
    assert compared >= 6 or version == "2.14.3"


@pytest.mark.parametrize("version", ["1.2.3", "2.6.15", "2.14.3"])
def test_a_recording_gives_the_labels_of_native_kuma_sd(version: str) -> None:
    folder = DATA / f"kuma-{version}"
    files = last_files(folder, "http-v1")
    for step, publication in played(folder, "http-v1", "kuma_sd_configs"):
        ours = [{"__address__": group.targets[0]} | group.labels for group in publication.groups]
        native = json.loads((folder / f"native-{files[step]}").read_bytes())
        theirs = [
            {name: value for name, value in labels.items() if not SCRAPE_CONFIGURATION.search(name)}
            for labels in native
        ]
        assert sorted(ours, key=by_name) == sorted(theirs, key=by_name)


def by_name(labels: dict[str, Any]) -> tuple[str, str]:
    return labels["__meta_kuma_mesh"], labels["instance"]


def test_the_catalog_of_a_recording_leads_to_its_mads() -> None:
    api = ApiServer()
    with SimulatedControlPlane(Recording(DATA / "kuma-0.7.3"), refresh=0, api=api) as kuma:
        kuma.world.advance()
        source = MadsSource(api.url, MadsOptions(), "")
        assert len(next(iter(source)).assignments) == 13
        assert source.status.protocol == "v1alpha1 gRPC"
        source.close()
