import contextlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from os_reasons import IS_A_DIRECTORY
from swapping import exchange
from waiting import eventually

from kuma_sd import ConfigError, Context, OutputError
from kuma_sd.plugin.manager import Plugins
from kuma_sd.prometheus.sharding import Shard, hashmod
from kuma_sd.settings.loader import load
from kuma_sd.system.durable_file import FileClaim
from kuma_sd.testing import OutputContract, group, publication
from kuma_sd_bundled.file_sd import FileSD, FileSDOptions, kuma_sd_output_plugin
from kuma_sd_bundled.file_sd.target_file import TargetFile

DOCS = Path(__file__).parents[2] / "docs/shards.md"

PLUGIN = kuma_sd_output_plugin()

ADDRESSES = [f"192.0.2.{number}:5670" for number in range(200)]
GROUPS = [group(f"b-{number:03}", address=address) for number, address in enumerate(ADDRESSES)]


class TestShards(OutputContract):
    plugin = PLUGIN

    def options(self, directory: Path) -> FileSDOptions:
        return FileSDOptions(path=directory / "kuma-{shard}.json", shards=3)

    def broken(self, directory: Path) -> FileSDOptions:
        (directory / "kuma-1.json").mkdir()
        return self.options(directory)

    def published(self, options: FileSDOptions) -> Any:
        paths = [options.path.with_name(f"kuma-{number}.json") for number in range(3)]
        return [entry for path in paths for entry in json.loads(path.read_bytes())]


@contextlib.contextmanager
def started(directory: Path, **options: Any) -> Iterator[FileSD]:
    defaults: dict[str, Any] = {"path": directory / "kuma-{shard}.json", "shards": 8}
    output = PLUGIN.open(FileSDOptions(**(defaults | options)), Context("file_sd"))
    assert isinstance(output, FileSD)
    with contextlib.closing(output):
        output.start()
        yield output


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files to others needs root")
def test_what_another_user_wrote_does_not_decide_where_a_target_is(tmp_path: Path) -> None:
    theirs = tmp_path / "kuma-0.json"
    theirs.write_bytes(b"[\n" + b",\n".join(one.json for one in GROUPS) + b"\n]\n")
    os.chown(theirs, 65534, 65534)
    options = FileSDOptions(path=tmp_path / "kuma-{shard}.json", shards=8)
    file = TargetFile(theirs, options, lambda: None)
    with pytest.raises(OSError, match="belongs to another user"):
        file.content()


def addresses(path: Path) -> list[str]:
    return [address for entry in json.loads(path.read_bytes()) for address in entry["targets"]]


def inodes(directory: Path) -> list[int]:
    """Return what changes for each file that is replaced."""
    return [path.stat().st_ino for path in sorted(directory.glob("kuma-*"))]


def test_each_shard_has_a_file_of_its_own_also_an_empty_one(tmp_path: Path) -> None:
    with started(tmp_path) as output:
        output.publish(publication(*GROUPS))
        for number in range(8):
            expected = [address for address in ADDRESSES if hashmod(address, 8) == number]
            assert addresses(tmp_path / f"kuma-{number}.json") == expected
        output.publish(publication())
        assert {(tmp_path / f"kuma-{number}.json").read_bytes() for number in range(8)} == {b"[]\n"}


def test_one_shard_alone_is_the_same_as_that_of_all(tmp_path: Path) -> None:
    with (
        started(tmp_path, shards=4, shard_method="consistent", shard_by="dataplane") as every,
        started(
            tmp_path,
            path=tmp_path / "mine.json",
            shards=None,
            shard=Shard(2, 4),
            shard_method="consistent",
            shard_by="dataplane",
        ) as mine,
    ):
        for output in (every, mine):
            output.publish(publication(*GROUPS))
    assert addresses(tmp_path / "mine.json") == addresses(tmp_path / "kuma-2.json") != []


def test_what_each_file_would_hold_can_be_asked_before_the_start(tmp_path: Path) -> None:
    output = FileSD(FileSDOptions(path=tmp_path / "kuma-{shard}.json", shards=3))
    asked = output.files(publication(*GROUPS))
    assert list(asked) == [tmp_path / f"kuma-{number}.json" for number in range(3)]
    assert sorted(line for lines in asked.values() for line in lines) == sorted(
        target_group.json for target_group in GROUPS
    )
    assert all(target_group.json in asked[Path(output.explain(target_group)[0])] for target_group in GROUPS)
    mine = FileSD(FileSDOptions(path=tmp_path / "mine.json", shard=Shard(2, 3)))
    (kept,) = mine.files(publication(*GROUPS)).values()
    assert list(kept) == list(asked[tmp_path / "kuma-2.json"])
    assert {mine.explain(target_group) for target_group in GROUPS} == {
        (str(tmp_path / "mine.json"), True),
        ("it belongs to shard 0/3, and shard = 2/3 is written here", False),
        ("it belongs to shard 1/3, and shard = 2/3 is written here", False),
    }
    alone = FileSD(FileSDOptions(path=tmp_path / "all.json"))
    assert alone.explain(GROUPS[0]) == (str(tmp_path / "all.json"), True)


def test_a_shard_can_be_in_a_directory_of_its_own_and_in_yaml(tmp_path: Path) -> None:
    with started(tmp_path, path=tmp_path / "{shard}" / "kuma.yml", shards=2, mode=0o600) as output:
        output.publish(publication(*GROUPS))
    paths = [tmp_path / "0" / "kuma.yml", tmp_path / "1" / "kuma.yml"]
    assert all(path.read_bytes().startswith(b'- {"') and path.stat().st_mode & 0o777 == 0o600 for path in paths)


def test_one_change_replaces_one_file_and_equal_content_none(tmp_path: Path) -> None:
    with started(tmp_path) as output:
        output.publish(publication(*GROUPS))
        before = inodes(tmp_path)
        changed = group("b-005", address=ADDRESSES[5], labels={"version": "2"})
        output.publish(publication(*GROUPS[:5], changed, *GROUPS[6:]))
        after = inodes(tmp_path)
        shard = hashmod(ADDRESSES[5], 8)
        assert [number for number in range(8) if before[number] != after[number]] == [shard]
        output.publish(publication(*GROUPS[:5], changed, *GROUPS[6:], received=2.0))
        assert inodes(tmp_path) == after
    with started(tmp_path) as again:
        again.publish(publication(*GROUPS))
        assert [number for number in range(8) if inodes(tmp_path)[number] != after[number]] == [shard]


def test_a_shard_that_cannot_be_written_keeps_no_other_back_and_is_the_only_one_written_again(tmp_path: Path) -> None:
    for number in (1, 2):
        (tmp_path / f"kuma-{number}.json").mkdir()
    with started(tmp_path, shards=4) as output:
        with pytest.raises(OutputError, match=rf"cannot write '.*kuma-2.json': {IS_A_DIRECTORY}; 1 more of its files"):
            output.publish(publication(*GROUPS))
        before = inodes(tmp_path)
        for number in (1, 2):
            (tmp_path / f"kuma-{number}.json").rmdir()
        output.publish(publication(*GROUPS))
        after = inodes(tmp_path)
        assert (before[0], before[3]) == (after[0], after[3])
    written = [address for number in range(4) for address in addresses(tmp_path / f"kuma-{number}.json")]
    assert sorted(written) == sorted(ADDRESSES)


def test_the_last_shard_is_written_first_so_that_one_more_leaves_no_target_out_for_a_moment(tmp_path: Path) -> None:
    for shards in (3, 4):
        with started(tmp_path, shards=shards, shard_method="consistent") as output:
            output.publish(publication(*GROUPS))
    times = [(tmp_path / f"kuma-{number}.json").stat().st_mtime_ns for number in range(4)]
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize("method", ["hashmod", "consistent"])
@pytest.mark.parametrize(("before", "after"), [(4, 3), (3, 4), (8, 2)])
def test_at_no_moment_a_target_is_in_no_file_when_the_number_of_shards_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, before: int, after: int, method: str
) -> None:
    with started(tmp_path, shards=before, shard_method=method) as output:
        output.publish(publication(*GROUPS))
    publish, moments = TargetFile.publish, list[set[str]]()

    def watched(file: TargetFile, lines: Any) -> bool:
        changed = publish(file, lines)
        moments.append({one for path in tmp_path.glob("kuma-*.json") for one in addresses(path)})
        return changed

    monkeypatch.setattr(TargetFile, "publish", watched)
    with started(tmp_path, shards=after, shard_method=method) as output:
        output.publish(publication(*GROUPS))
    assert len(moments) >= after
    assert all(moment == set(ADDRESSES) for moment in moments)


def test_all_files_are_claimed_or_none(tmp_path: Path) -> None:
    other = FileClaim(tmp_path / "kuma-1.json")
    options = FileSDOptions(path=tmp_path / "kuma-{shard}.json", shards=2)
    with contextlib.closing(FileSD(options)) as output:
        with pytest.raises(OutputError, match=r"another kuma-sd writes '.*kuma-1.json' already"):
            output.start()
        FileClaim(tmp_path / "kuma-0.json").release()
        other.release()
        output.start()
        for number in range(2):
            with pytest.raises(OutputError, match="another kuma-sd writes"):
                FileClaim(tmp_path / f"kuma-{number}.json")


def test_every_file_is_restored_also_while_another_cannot_be(tmp_path: Path) -> None:
    with started(tmp_path, shards=3) as output:
        output.publish(publication(*GROUPS))
        paths = [tmp_path / f"kuma-{number}.json" for number in range(3)]
        contents = [path.read_bytes() for path in paths]
        directory = tmp_path / "directory"
        directory.mkdir()
        # In one step, since a file that is missing is restored at once.
        exchange(paths[0], directory)
        for path, content in zip(paths[1:], contents[1:], strict=True):
            path.write_bytes(b"[]")
            eventually(lambda path=path, content=content: path.read_bytes() == content, "the file is right")  # type: ignore[misc]
        paths[0].rmdir()
        eventually(lambda: paths[0].is_file() and paths[0].read_bytes() == contents[0], "the first is back as well")


def test_files_of_shards_that_are_no_more_stay_and_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with started(tmp_path, shards=4) as output:
        output.publish(publication(*GROUPS))
    assert str(tmp_path) not in caplog.text
    left = {path: path.read_bytes() for path in (tmp_path / "kuma-2.json", tmp_path / "kuma-3.json")}
    with started(tmp_path, shards=2) as output:
        output.publish(publication(*GROUPS[:1]))
        output.publish(publication())
    (line,) = [line for line in caplog.text.splitlines() if str(tmp_path) in line]
    assert f"{tmp_path}/kuma-2.json, {tmp_path}/kuma-3.json" in line
    assert {path: path.read_bytes() for path in left} == left


def test_after_a_shard_more_no_file_is_left_over(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for shards in (2, 3):
        with started(tmp_path, shards=shards) as output:
            output.publish(publication(*GROUPS))
    written = [address for number in range(3) for address in addresses(tmp_path / f"kuma-{number}.json")]
    assert sorted(written) == sorted(ADDRESSES)
    assert str(tmp_path) not in caplog.text


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"shard": Shard(0, 2)}, "shard and shards are both set"),
        ({"shards": None}, r"path has \{shard\} in it, which needs shards"),
        ({"shards": None, "shard": Shard(0, 2)}, r"path has \{shard\} in it, which needs shards"),
        ({"path": Path("kuma.json")}, r"shards needs \{shard\} in path"),
        ({"path": Path("kuma.{shard}")}, "end it in .json, .yml or .yaml"),
        ({"shards": 0}, "0 is no number of shards"),
        ({"shard_method": "md5"}, "there is no shard method 'md5'"),
    ],
)
def test_settings_that_do_not_fit_together_are_refused(tmp_path: Path, options: dict[str, Any], why: str) -> None:
    with pytest.raises(ConfigError, match=why), started(tmp_path, **options):
        pass


def test_a_directory_that_vanishes_with_all_its_files_is_made_again(tmp_path: Path) -> None:
    directory = tmp_path / "sd"
    with started(directory, shards=3) as output:
        output.publish(publication(*GROUPS))
        directory.rename(tmp_path / "gone")
        eventually(lambda: len(list(directory.glob("kuma-*"))) == 3, "all files are back")


@pytest.mark.parametrize("settings", re.findall(r"^```ini\n(.*?)^```", DOCS.read_text(), re.MULTILINE | re.DOTALL))
def test_the_settings_in_the_documentation_are_right(tmp_path: Path, settings: str) -> None:
    (tmp_path / "kuma-sd.conf").write_text(f"[kuma-sd]\ncp-address = http://127.0.0.1:5681\n{settings}")
    loaded = load(["-c", str(tmp_path / "kuma-sd.conf")], {}, Plugins())
    (output,) = loaded.outputs
    assert output.plugin.open(output.options, Context("file_sd"))
