import errno
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from os_reasons import IS_A_DIRECTORY
from swapping import exchange
from waiting import eventually

from kuma_sd import ConfigError, Context, OutputError
from kuma_sd.testing import OutputContract, group, publication
from kuma_sd_bundled import file_sd
from kuma_sd_bundled.file_sd import FileSD, FileSDOptions
from kuma_sd_bundled.file_sd.options import MODE
from kuma_sd_bundled.file_sd.target_file import TargetFile

PLUGIN = file_sd.kuma_sd_output_plugin()

STRANGER = 12345
"""A user that is neither root nor us."""

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="giving files to others needs root")


class TestJSON(OutputContract):
    plugin = PLUGIN

    def options(self, directory: Path) -> FileSDOptions:
        return FileSDOptions(path=directory / "targets.json")

    def broken(self, directory: Path) -> FileSDOptions:
        (directory / "taken").touch()
        return FileSDOptions(path=directory / "taken" / "targets.json")

    def published(self, options: FileSDOptions) -> Any:
        return json.loads(options.path.read_bytes())


class TestYAML(TestJSON):
    def options(self, directory: Path) -> FileSDOptions:
        return FileSDOptions(path=directory / "targets.yml")

    def published(self, options: FileSDOptions) -> Any:
        return yaml.safe_load(options.path.read_bytes())


def publish(path: Path, *publications: object, **options: Any) -> FileSD:
    output = PLUGIN.open(FileSDOptions(path=path, **options), Context("file_sd"))
    assert isinstance(output, FileSD)
    output.start()
    for each in publications:
        output.publish(each)  # type: ignore[arg-type]
    return output


def test_both_formats_are_made_of_the_same_lines(tmp_path: Path) -> None:
    many = publication(*(f"backend-{number}" for number in range(10_000)))
    publish(tmp_path / "targets.json", many).close()
    publish(tmp_path / "targets.yml", many).close()
    lines = [target_group.json for target_group in many.groups]
    assert (tmp_path / "targets.json").read_bytes() == b"[\n" + b",\n".join(lines) + b"\n]\n"
    assert (tmp_path / "targets.yml").read_bytes() == b"".join(b"- " + line + b"\n" for line in lines)


def test_an_empty_list_is_written_as_such_never_as_an_empty_file(tmp_path: Path) -> None:
    publish(tmp_path / "targets.json", publication()).close()
    publish(tmp_path / "targets.yaml", publication()).close()
    assert (tmp_path / "targets.json").read_bytes() == b"[]\n"
    assert (tmp_path / "targets.yaml").read_bytes() == b"[]\n"


def test_equal_content_is_not_written_again(tmp_path: Path) -> None:
    path = tmp_path / "targets.json"
    output = publish(path, publication("a"))
    first = path.stat()
    output.publish(publication("a", received=2.0))
    output.close()
    publish(path, publication("a")).close()
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (first.st_ino, first.st_mtime_ns)


def test_a_changed_mode_is_applied_at_the_next_start(tmp_path: Path) -> None:
    path = tmp_path / "targets.json"
    publish(path, publication("a")).close()
    publish(path, publication("a"), mode=0o600).close()
    assert oct(path.stat().st_mode & 0o777) == "0o600"


def test_the_file_can_be_given_to_a_group(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("giving files to groups needs root")
    publish(tmp_path / "targets.json", publication("a"), group="daemon").close()
    assert (tmp_path / "targets.json").group() == "daemon"


def test_a_changed_group_is_applied_at_the_next_start(tmp_path: Path) -> None:
    if os.getuid() != 0:
        pytest.skip("giving files to groups needs root")
    path = tmp_path / "targets.json"
    publish(path, publication("a")).close()
    publish(path, publication("a"), group="daemon").close()
    assert path.group() == "daemon"


def test_a_link_stays_and_what_it_leads_to_is_written(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "targets.json").write_text("[]")
    (tmp_path / "targets.json").symlink_to("real/targets.json")
    publish(tmp_path / "targets.json", publication("a")).close()
    assert (tmp_path / "targets.json").is_symlink()
    assert b"dataplane" in (tmp_path / "real" / "targets.json").read_bytes()


def test_a_path_and_a_link_to_it_are_not_written_by_two(tmp_path: Path) -> None:
    (tmp_path / "link.json").symlink_to("targets.json")
    output = publish(tmp_path / "targets.json")
    with pytest.raises(OutputError, match=r"another kuma-sd writes '.*link\.json' already"):
        publish(tmp_path / "link.json")
    output.close()


def test_a_path_that_cannot_be_honoured_is_refused_before_anything_starts(tmp_path: Path) -> None:
    (tmp_path / "a.json").symlink_to("b.json")
    (tmp_path / "b.json").symlink_to("a.json")
    with pytest.raises(ConfigError, match="cannot find out where"):
        PLUGIN.open(FileSDOptions(path=tmp_path / "a.json"), Context("file_sd"))


def test_a_pipe_in_the_files_place_is_refused_since_it_would_be_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "targets.json")
    with pytest.raises(ConfigError, match="is a pipe, which would be replaced by a file"):
        PLUGIN.open(FileSDOptions(path=tmp_path / "targets.json"), Context("file_sd"))
    assert (tmp_path / "targets.json").is_fifo()


@needs_root
def test_a_pipe_of_another_user_in_the_files_place_is_replaced(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "targets.json")
    os.chown(tmp_path / "targets.json", STRANGER, STRANGER)
    publish(tmp_path / "targets.json", publication("a")).close()
    assert b"dataplane" in (tmp_path / "targets.json").read_bytes()


@needs_root
def test_an_equal_file_of_another_user_is_replaced_since_he_could_change_it(tmp_path: Path) -> None:
    path = tmp_path / "targets.json"
    publish(path, publication("a")).close()
    os.chown(path, STRANGER, STRANGER)
    publish(path, publication("a")).close()
    assert path.stat().st_uid == os.geteuid()


@needs_root
@pytest.mark.parametrize("mode", [0o775, 0o777, 0o2775])
def test_a_volume_that_everybody_may_write_is_published_to_as_any_user(mode: int) -> None:
    """OpenShift gives a container a user of its own in root's group; an emptyDir is open to all."""
    program = """
import hashlib, os, sys
from pathlib import Path
# The other user may not be able to read Python's modules.
from watchdog.observers import Observer
from kuma_sd import Context
from kuma_sd.runtime.restore_from_published import groups_in
from kuma_sd.testing import publication
from kuma_sd_bundled.file_sd import FileSDOptions, kuma_sd_output_plugin
os.setgroups([0])
os.setregid(0, 0)
os.setreuid(54321, 54321)
path = Path(sys.argv[1])
for _ in range(2):
    output = kuma_sd_output_plugin().open(FileSDOptions(path=path), Context("file_sd"))
    output.start()
    output.publish(publication("a"))
    output.close()
print(path.stat().st_uid, len(groups_in(path)))
"""
    with tempfile.TemporaryDirectory() as volume:
        Path(volume).chmod(mode)
        command = [sys.executable, "-c", program, f"{volume}/targets.json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.stdout, done.stderr) == ("54321 1\n", "")


@pytest.mark.parametrize(("name", "format_"), [("targets.txt", "yaml"), ("targets.yml", "json"), ("targets", "json")])
def test_the_format_can_be_set_against_the_extension(tmp_path: Path, name: str, format_: str) -> None:
    publish(tmp_path / name, publication("a"), format=format_).close()
    content = (tmp_path / name).read_bytes()
    assert content.startswith(b"- " if format_ == "yaml" else b"[\n")


def test_yaml_that_prometheus_would_read_as_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"Prometheus reads '.*targets.json' as JSON; end the name in .yml"):
        publish(tmp_path / "targets.json", publication(), format="yaml")


def test_a_path_that_does_not_tell_the_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"end it in \.json, \.yml or \.yaml, or set format"):
        publish(tmp_path / "targets.txt")


@pytest.mark.parametrize("text", ["644x", "0999", "-1", "10000"])
def test_a_mode_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a file mode like 0644"):
        MODE.parse(text)
    assert MODE.show(MODE.parse("640")) == "0640"


def test_groups_differ_in_their_address_only_when_labels_are_equal(tmp_path: Path) -> None:
    two = publication(group("a", address="192.0.2.1:1"), group("a2", address="192.0.2.2:1"))
    publish(tmp_path / "targets.json", two).close()
    assert [load["targets"] for load in json.loads((tmp_path / "targets.json").read_bytes())] == [
        ["192.0.2.1:1"],
        ["192.0.2.2:1"],
    ]


class TestRestoring:
    """What somebody else does to the file is undone."""

    @pytest.fixture
    def path(self, tmp_path: Path) -> Iterator[Path]:
        path = tmp_path / "sd" / "targets.json"
        output = publish(path, publication("a"))
        self.content = path.read_bytes()
        yield path
        output.close()

    def is_right(self, path: Path) -> bool:
        return path.is_file() and path.read_bytes() == self.content

    def test_a_deleted_file_is_written_again(self, path: Path) -> None:
        path.unlink()
        eventually(lambda: self.is_right(path), "the file is back")

    def test_an_altered_file_is_written_again(self, path: Path) -> None:
        path.write_bytes(b"[]")
        eventually(lambda: self.is_right(path), "the file is right")

    def test_permissions_that_shut_prometheus_out_are_set_again(self, path: Path) -> None:
        path.chmod(0o600)
        eventually(lambda: path.stat().st_mode & 0o777 == 0o644, "everybody may read the file")

    def test_a_pipe_in_its_place_is_replaced(self, path: Path) -> None:
        pipe = path.with_name("pipe")
        os.mkfifo(pipe)
        # In one step, since a file that is missing is restored at once.
        pipe.rename(path)
        eventually(lambda: self.is_right(path), "the file is back")

    def test_a_directory_that_vanished_is_made_again(self, path: Path) -> None:
        path.parent.rename(path.parent.with_name("gone"))
        eventually(lambda: self.is_right(path), "the file is back")

    def test_what_is_in_the_way_is_waited_for(self, path: Path, caplog: pytest.LogCaptureFixture) -> None:
        directory = path.with_name("directory")
        directory.mkdir()
        # In one step, as above.
        exchange(path, directory)
        eventually(lambda: IS_A_DIRECTORY in caplog.text, "it is said")
        path.rmdir()
        eventually(lambda: self.is_right(path), "the file is back")

    @pytest.mark.parametrize(
        "error", [PermissionError(errno.EACCES, "denied"), OSError(errno.ESTALE, "stale"), SystemExit(1)]
    )
    def test_an_attempt_that_fails_in_any_way_is_made_again(
        self, path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: BaseException
    ) -> None:
        restore, errors = TargetFile.restore, [error]

        def failing_once(file: TargetFile) -> bool:
            if errors:
                raise errors.pop()
            return restore(file)

        def is_restored_after_an_error() -> bool:
            if errors and self.is_right(path):
                # An attempt that had begun before may have restored it.
                path.write_bytes(b"[]")
            return not errors and self.is_right(path)

        monkeypatch.setattr(TargetFile, "restore", failing_once)
        eventually(is_restored_after_an_error, "the file is right")
        assert "a thread died and is started again" in caplog.text

    def test_another_program_that_writes_it_again_and_again_is_met_with_patience(
        self, path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        for count in (1, 2):
            path.write_bytes(b"[%d]" % count)
            eventually(lambda: self.is_right(path), "the file is right")
        eventually(lambda: 'restored_again_only="after 2 s"' in caplog.text, "it is said")
