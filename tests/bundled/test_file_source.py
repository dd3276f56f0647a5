import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon_process import kuma_sd
from msgspec.structs import replace
from os_reasons import IS_A_DIRECTORY, NO_SUCH_FILE

from kuma_sd import ConfigError, NoOptions, Snapshot, SourceError, parse_url
from kuma_sd.mads.codecs.v1 import V1_PROTOBUF
from kuma_sd.plugin.manager import Plugins
from kuma_sd.settings.loader import load
from kuma_sd.simulator import Dataplane
from kuma_sd.state import snapshot_file
from kuma_sd.system.durable_file import replace_file
from kuma_sd.testing import assignment, context, control_plane, snapshot
from kuma_sd_bundled import file as plugin
from kuma_sd_bundled.file import SavedSnapshot, parse_path

PLUGIN = plugin.kuma_sd_source_plugin()


def saved(*names: str) -> Snapshot:
    return snapshot(*(replace(assignment(name), codec=V1_PROTOBUF) for name in names), received=5.0)


def write(path: Path, *names: str) -> None:
    replace_file(path, snapshot_file.write(saved(*names), "whoever"))


def opened(path: Path, name: str = "") -> SavedSnapshot:
    source = PLUGIN.open(NoOptions(), context(name=name, address=f"file:{path}"))
    assert isinstance(source, SavedSnapshot)
    return source


def test_it_yields_what_was_saved_and_again_when_the_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "east.snapshot"
    write(path, "a", "b")
    source = opened(path, "west")
    snapshots = iter(source)
    first = next(snapshots)
    assert [(entry.key.control_plane, entry.key.name) for entry in first.assignments] == [("west", "a"), ("west", "b")]
    assert (first.control_plane, first.received, first.complete) == ("west", 5.0, True)
    assert first.connected > 0
    assert (source.status.connected, source.status.protocol) == (True, "saved snapshot")
    write(path, "a")
    second = next(snapshots)
    assert [entry.key.name for entry in second.assignments] == ["a"]
    assert second.connected == first.connected
    source.close()
    assert list(snapshots) == []
    assert not source.status.connected


def test_closing_ends_it_at_once_even_before_it_begins(tmp_path: Path) -> None:
    path = tmp_path / "east.snapshot"
    write(path, "a")
    source, got = opened(path), threading.Event()

    def consume() -> None:
        for _ in source:
            got.set()

    thread = threading.Thread(target=consume)
    thread.start()
    assert got.wait(10)
    source.close()
    thread.join(10)
    assert not thread.is_alive()
    assert list(source) == []


def lines(path: Path) -> Iterator[str]:
    with pytest.raises(SourceError) as caught:
        next(iter(opened(path)))
    yield str(caught.value)


def test_what_cannot_be_read_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "east.snapshot"
    assert list(lines(path)) == [f"the snapshot '{path}' cannot be read: {NO_SUCH_FILE}"]
    path.write_bytes(b"[]\n")
    assert list(lines(path)) == [f"'{path}' is no saved snapshot, or its beginning is damaged"]
    path.write_bytes(b"".join(snapshot_file.write(saved("a"), "x"))[:-3])
    assert list(lines(path)) == [f"'{path}' is cut off or damaged"]
    assert list(lines(tmp_path)) == [f"the snapshot '{tmp_path}' cannot be read: {IS_A_DIRECTORY}"]
    path.write_bytes(b"".join(snapshot_file.write(snapshot("a"), "x")))
    (line,) = lines(path)
    assert line == f"'{path}' holds assignments that this version cannot read: there is no codec 'testing'"


def test_what_is_too_large_is_not_read(tmp_path: Path) -> None:
    path = tmp_path / "east.snapshot"
    write(path, "a")
    with path.open("ab") as file:
        file.truncate(2**32 + 1)
    assert list(lines(path)) == [f"'{path}' is larger than 4 GiB"]


@pytest.mark.parametrize(
    ("address", "path"),
    [
        ("file:/a/b.snapshot", "/a/b.snapshot"),
        ("file:///a/b.snapshot", "/a/b.snapshot"),
        ("file://localhost/a", "/a"),
        ("file:a/b", "a/b"),
        ("file:/a%20b", "/a b"),
    ],
)
def test_addresses_are_urls(address: str, path: str) -> None:
    assert parse_path(parse_url(address)) == Path(path)


@pytest.mark.parametrize("address", ["file://host/a", "file:/", "file:", "file:///", "file:/a%00b"])
def test_what_names_no_file_of_this_machine_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match=r"write it like file:/|write file:/PATH"):
        parse_path(parse_url(address))


@pytest.mark.parametrize("address", ["file:/a/b", "file:///a/b", "file:b.snapshot", "file:/a=b"])
def test_settings_take_such_addresses_with_and_without_a_name(address: str) -> None:
    (plane,) = load([f"--cp-address={address}"], {}, Plugins()).control_planes
    assert (plane.name, str(plane.address), plane.plugin_name) == ("", address, "file")
    (plane,) = load([f"--cp-address=east={address}"], {}, Plugins()).control_planes
    assert (plane.name, str(plane.address)) == ("east", address)


def test_a_snapshot_that_a_daemon_saved_is_published_as_it_was(tmp_path: Path) -> None:
    first, second, state = tmp_path / "first.json", tmp_path / "second.json", tmp_path / "state"
    with control_plane(*(Dataplane(f"web-{number}") for number in range(300))) as kuma:
        arguments = (f"--cp-address=east={kuma.url}", f"--output-file={first}", f"--state-dir={state}")
        with kuma_sd("run", *arguments) as daemon:
            daemon.wait_for_line("targets=300")
            daemon.stop()
    address = f"--cp-address=east=file:{state}/east.snapshot"
    with kuma_sd("run", "--once", address, f"--output-file={second}") as program:
        assert program.wait() == 0, program.output
    assert second.read_bytes() == first.read_bytes()
    assert second.read_bytes().count(b'"control_plane":"east"') == 300
