import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from recordings import DATA, Step, as_we_write, groups, response, steps

from kuma_sd import Publication
from kuma_sd.mads.decoder import Decoder
from kuma_sd.pipeline.chain import Chain
from kuma_sd.prometheus.label_profiles import LabelProfile
from kuma_sd_bundled.file_sd import FileSD, FileSDOptions

V1 = steps("grpc-v1", "v1") + steps("http-v1", "v1")
V1ALPHA1 = steps("grpc-v1alpha1", "v1alpha1")
NATIVE = sorted(DATA.glob("*/native-http-v1-*.json"))

# What Prometheus's scrape configuration adds to what it discovered.
SCRAPE_CONFIGURATION = re.compile(r"^job$|^__.*_histograms_")


def published(recorded: Path, profile: str) -> Publication:
    assignments, unreadable = Decoder("").decode(response(recorded))
    assert not unreadable
    return Chain(LabelProfile(profile)).publication(assignments, received=1.0)


def test_there_are_recordings_to_compare_with() -> None:
    assert {step.response.parent.name for step in V1} == {"kuma-1.2.3", "kuma-2.6.15"}
    assert {step.response.parent.name for step in V1ALPHA1} == {"kuma-0.7.3", "kuma-1.2.3"}
    assert (len(V1), len(V1ALPHA1), len(NATIVE)) == (28, 12, 27)


@pytest.mark.parametrize("step", V1, ids=str)
def test_our_files_hold_the_groups_that_the_go_program_wrote(step: Step, tmp_path: Path) -> None:
    publication = published(step.response, "kuma-prometheus-sd")
    for name in ("targets.json", "targets.yml"):
        output = FileSD(FileSDOptions(path=tmp_path / name))
        output.start()
        output.publish(publication)
        output.close()
    ours = json.loads((tmp_path / "targets.json").read_bytes())
    assert groups(ours) == groups(as_we_write(json.loads(step.go.read_bytes())))
    assert yaml.safe_load((tmp_path / "targets.yml").read_bytes()) == ours


@pytest.mark.parametrize("step", V1ALPHA1, ids=str)
def test_of_v1alpha1_too_but_for_the_label_service_which_is_added(step: Step) -> None:
    ours = [
        {"targets": group.targets, "labels": group.labels}
        for group in published(step.response, "kuma-prometheus-sd").groups
    ]
    for group in ours:
        labels: dict[str, str] = group["labels"]  # type: ignore[assignment]
        assert labels.pop("service") == labels["job"]
    assert groups(ours) == groups(as_we_write(json.loads(step.go.read_bytes())))


@pytest.mark.parametrize("native", NATIVE, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_the_profile_kuma_sd_configs_gives_the_labels_of_native_kuma_sd(native: Path) -> None:
    recorded = native.with_name(native.name.removeprefix("native-"))
    ours = [{"__address__": group.targets[0]} | group.labels for group in published(recorded, "kuma_sd_configs").groups]
    theirs = [
        {name: value for name, value in labels.items() if not SCRAPE_CONFIGURATION.search(name)}
        for labels in json.loads(native.read_bytes())
    ]
    assert by_name(ours) == by_name(theirs)


def by_name(label_sets: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(label_sets, key=lambda labels: (labels["__meta_kuma_mesh"], labels["instance"]))
