"""Files for file_sd_configs are read as Prometheus reads them, whoever wrote them."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from os_reasons import IS_A_DIRECTORY
from recordings import FOLDERS, groups

from kuma_sd import GroupKey, Key, KumaSDError, Labels, Publication, TargetGroup
from kuma_sd.prometheus import sd_files
from kuma_sd.prometheus.sd_files import read_target_file, selected
from kuma_sd.prometheus.sharding import Shard
from kuma_sd_bundled.file_sd import FileSD, FileSDOptions

LABELS = st.dictionaries(st.sampled_from(["__address__", "a", "b", "mesh"]), st.text("a:-#'\"{}\u2028é\n", min_size=1))


def publication(labels: list[Labels]) -> Publication:
    keys = [GroupKey(Key("", "default", f"{number:03}", 0), 0) for number in range(len(labels))]
    return Publication.of(map(TargetGroup.render, keys, labels), received=1.0)


def read(tmp_path: Path, content: str | bytes, name: str = "targets.json") -> list[bytes]:
    path = tmp_path / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return [target.json for target in read_target_file(path)]


@given(st.lists(LABELS, max_size=5))
@pytest.mark.parametrize("name", ["targets.json", "targets.yml"])
def test_what_file_sd_writes_is_read_back(
    name: str, tmp_path_factory: pytest.TempPathFactory, labels: list[Labels]
) -> None:
    path = tmp_path_factory.mktemp("files") / name
    output, published = FileSD(FileSDOptions(path)), publication(labels)
    output.publish(published)
    output.close()
    assert [target.json for target in read_target_file(path)] == list(published.lines)


@pytest.mark.parametrize("path", [path for folder in FOLDERS for path in sorted(folder.glob("go-adapter-*.json"))])
def test_what_the_go_program_wrote_is_read(path: Path) -> None:
    parsed = json.loads(path.read_bytes())
    for group in parsed:
        group["labels"] = {name: value for name, value in group["labels"].items() if value}
    found = [{"targets": target.targets, "labels": target.labels} for target in read_target_file(path)]
    assert groups(found) == groups(parsed)


def test_each_target_of_a_group_stands_alone_and_equal_ones_are_there_once(tmp_path: Path) -> None:
    content = [{"targets": ["b:1", "a:1", "b:1"], "labels": {"z": "1", "a": "2", "none": ""}}, {"targets": ["c:1"]}]
    assert read(tmp_path, json.dumps(content)) == [
        b'{"targets":["b:1"],"labels":{"a":"2","z":"1"}}',
        b'{"targets":["a:1"],"labels":{"a":"2","z":"1"}}',
        b'{"targets":["c:1"],"labels":{}}',
    ]


YAML = """\
# by hand
- targets: [a:1, "b:1"]
  labels: &shared
    port: 0080
    on: yes
- targets:
    - c:1
  labels: *shared
"""


def test_scalars_in_yaml_are_texts_as_for_prometheus(tmp_path: Path) -> None:
    labels = b'"labels":{"on":"yes","port":"0080"}}'
    lines = [b'{"targets":["%s"],' % address + labels for address in (b"a:1", b"b:1", b"c:1")]
    assert read(tmp_path, YAML, "targets.yaml") == lines
    assert read(tmp_path, YAML, "targets.new") == lines, "without an extension the content tells"


@pytest.mark.parametrize(("name", "content"), [("x.json", "[]"), ("x.yml", "[]\n"), ("x.yml", "#\n")])
def test_no_targets_are_none(tmp_path: Path, name: str, content: str) -> None:
    assert read(tmp_path, content, name) == []


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("x.json", b'{"targets": []}', "."),
        ("x.json", b'[{"targets": ["a"], "labels": {"a": 1}}]', "."),
        ("x.json", b"[{", "."),
        ("x.json", b"", "."),
        ("x.json", b'[{"targets": ["\xff"]}]', "."),
        ("x.yml", b"- targets: [a\n", "it is no YAML"),
        ("x.yml", b"- {]", "it is no YAML"),
        ("x.yml", b"- targets: a\n", "."),
        ("x.yml", b"[" * 100_000, "it is nested too deeply$"),
        ("x.json", b'[{"x":' + b"[" * 100_000, "it is nested too deeply$"),
        ("x.yml", b"\x00", "it is no YAML"),
        ("x.yml", b"- &a [*a]\n", "it is no YAML"),
        ("x.json", json.dumps([{"targets": ["a"], "labels": {"n" * 2000: "v"}}]).encode(), "longer than 1000"),
    ],
)
def test_what_is_no_such_file_is_refused_in_one_line(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    told = f"^'{tmp_path}/{name}' is no file for Prometheus's file_sd_configs: .*{reason}"
    with pytest.raises(KumaSDError, match=told) as caught:
        read(tmp_path, content, name)
    assert "\n" not in str(caught.value)


def test_reading_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sd_files, "MOST_TARGETS", 1000)
    anchors = "- &a {targets: [" + ",".join("x" * 100) + "]}\n" + "- *a\n" * 10
    with pytest.raises(KumaSDError, match="more than 1000 targets"):
        read(tmp_path, anchors, "x.yml")
    monkeypatch.setattr(sd_files, "LARGEST_FILE", 10)
    with pytest.raises(KumaSDError, match="is larger than"):
        read(tmp_path, "[" + " " * 20 + "]")


def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    with pytest.raises(KumaSDError, match=f"cannot read '{tmp_path}': {IS_A_DIRECTORY}"):
        read_target_file(tmp_path)
    with pytest.raises(FileNotFoundError):
        read_target_file(tmp_path / "none.json")


def test_a_shard_publishes_its_part_only(tmp_path: Path) -> None:
    published = publication([{"__address__": f"10.0.0.{number}:80"} for number in range(20)])
    output = FileSD(FileSDOptions(tmp_path / "x.json", shard=Shard(1, 3)))
    output.publish(published)
    output.close()
    chosen = selected(output, published)
    assert 0 < len(chosen) < 20
    assert [item.json for item in chosen] == [target.json for target in read_target_file(tmp_path / "x.json")]
    assert selected(FileSD(FileSDOptions(tmp_path / "y.json")), published) == published.groups
