import importlib.metadata
import json
import os
import sys
import zipfile
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from kuma_sd.plugin.installed import EntryPoint, installed_entry_points

GROUP = "kuma_sd.plugins"

Install = Callable[[str, str], Path]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Return what writes the metadata of a distribution into a folder of its own, first on the path."""

    def install(metadata: str, entry_points: str) -> Path:
        folder = tmp_path / str(len(list(tmp_path.iterdir())))
        (folder / metadata).mkdir(parents=True)
        (folder / metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: Some.Thing\nVersion: 1.0\n")
        (folder / metadata / "entry_points.txt").write_text(entry_points)
        monkeypatch.syspath_prepend(str(folder))
        return folder

    return install


def named(entries: Iterable[EntryPoint]) -> set[tuple[str, str]]:
    """Return the name and distribution of each entry point."""
    return {(entry.name, entry.dist.metadata["Name"]) for entry in entries if entry.dist}


def found(name: str) -> EntryPoint:
    return next(entry for entry in installed_entry_points(GROUP) if entry.name == name)


@pytest.mark.parametrize("group", [GROUP, "console_scripts", "pytest11", "nothing"])
def test_it_finds_what_importlib_finds(group: str) -> None:
    assert named(installed_entry_points(group)) == named(importlib.metadata.entry_points(group=group))


def test_other_groups_comments_and_blanks_are_passed_over(install: Install) -> None:
    install("x-1.dist-info", f"[other]\na = json\n\n[{GROUP}]\n# b = json\n\n  c=json \n[more]\nd = json\n")
    added = {entry.name for entry in installed_entry_points(GROUP)} & {"a", "b", "c", "d"}
    assert added == {"c"}
    assert found("c").load() is json


def test_a_value_may_name_an_object_and_extras(install: Install) -> None:
    install("x-1.dist-info", f"[{GROUP}]\nobject = os:path.join [extra]\n")
    assert found("object").load() is os.path.join


def test_of_two_versions_the_first_on_the_path_counts(install: Install) -> None:
    install("Some.Thing-1.0.dist-info", f"[{GROUP}]\nold = json\n")
    install("some_thing-2.0.dist-info", f"[{GROUP}]\nnew = json\n")
    install("some_thing.egg-info", f"[{GROUP}]\nnewest = json\n")
    names = {entry.name for entry in installed_entry_points(GROUP)}
    assert names & {"old", "new", "newest"} == {"newest"}
    assert named(installed_entry_points(GROUP)) == named(importlib.metadata.entry_points(group=GROUP))


def test_what_is_in_a_zip_file_is_found_too(install: Install, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = install("some_thing-1.0.dist-info", f"[{GROUP}]\nzipped = json\n")
    archive = folder.with_suffix(".zip")
    with zipfile.ZipFile(archive, "w") as file:
        for path in folder.rglob("[a-zA-Z]*"):
            file.write(path, path.relative_to(folder))
    monkeypatch.setattr(sys, "path", [str(archive), *(path for path in sys.path if path != str(folder))])
    assert found("zipped").load() is json
