"""A change is seen however a file was changed, and nothing else is taken for one."""

import errno
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from unittest.mock import Mock

import pytest
from os_reasons import TOO_MANY_OPEN_FILES
from watcher_kit import settle

from kuma_sd.system import file_watcher
from kuma_sd.system.durable_file import replace_file
from kuma_sd.system.file_watcher import FileWatcher
from kuma_sd.system.threads import Threads

NEVER = 1000.0

Changes = queue.SimpleQueue[frozenset[Path]]
Watching = Callable[..., tuple[FileWatcher, Changes]]


@pytest.fixture
def watching() -> Iterator[Watching]:
    """Watch files until the end of the test, without looking now and then unless told to."""
    threads = Threads()

    def begin(*paths: Path, interval: float = NEVER, calm: float = 0.02) -> tuple[FileWatcher, Changes]:
        changes: Changes = queue.SimpleQueue()
        watcher = FileWatcher(paths, changes.put, interval, calm)
        threads.start("watcher", watcher)
        settle(watcher)
        return watcher, changes

    yield begin
    assert threads.stop(timeout=5) == []
    assert threads.failure is None


def assert_seen(changes: Changes, *paths: Path) -> None:
    """Wait for a change, and see that it is of these files."""
    assert changes.get(timeout=5) == frozenset(paths)


def assert_nothing_seen(watcher: FileWatcher, changes: Changes) -> None:
    settle(watcher)
    assert changes.empty()


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def config_map(volume: Path, version: int) -> None:
    """Bring a mounted ConfigMap up to date as kubelet does: a new folder, and a symbolic link that is renamed over."""
    write(volume / f"..{version}/kuma-sd.conf", f"version {version}")
    (volume / "..data_tmp").symlink_to(f"..{version}")
    (volume / "..data_tmp").rename(volume / "..data")
    if not (volume / "kuma-sd.conf").is_symlink():
        (volume / "kuma-sd.conf").symlink_to("..data/kuma-sd.conf")
    if (volume / f"..{version - 1}").exists():
        shutil.rmtree(volume / f"..{version - 1}")


def test_a_file_that_is_written_in_place_changed(tmp_path: Path, watching: Watching) -> None:
    path = write(tmp_path / "a", "old")
    _, changes = watching(path)
    write(path, "new")
    assert_seen(changes, path)


def test_a_file_that_is_replaced_changed_once(tmp_path: Path, watching: Watching) -> None:
    path = write(tmp_path / "a", "old")
    watcher, changes = watching(path)
    replace_file(path, [b"new"])
    assert_seen(changes, path)
    assert_nothing_seen(watcher, changes)


def test_a_file_that_is_replaced_again_and_again_is_seen_each_time(tmp_path: Path, watching: Watching) -> None:
    path = write(tmp_path / "a", "old")
    _, changes = watching(path)
    for number in range(5):
        replace_file(path, [b"%d" % number])
        assert_seen(changes, path)


def test_a_change_of_equal_size_and_time_is_seen(tmp_path: Path, watching: Watching) -> None:
    path = write(tmp_path / "a", "old")
    os.utime(path, (1, 1))
    watcher, changes = watching(path)
    path.write_text("new")
    os.utime(path, (1, 1))
    assert_seen(changes, path)
    assert_nothing_seen(watcher, changes)


def test_a_config_map_that_is_swapped_changed(tmp_path: Path, watching: Watching) -> None:
    config_map(tmp_path, 1)
    path = tmp_path / "kuma-sd.conf"
    _, changes = watching(path)
    for version in (2, 3, 4):
        config_map(tmp_path, version)
        assert_seen(changes, path)
        assert path.read_text() == f"version {version}"


def test_a_file_behind_a_link_into_another_directory_changed(tmp_path: Path, watching: Watching) -> None:
    target = write(tmp_path / "elsewhere/kuma-sd.conf", "old")
    path = tmp_path / "etc/kuma-sd.conf"
    path.parent.mkdir()
    path.symlink_to(target)
    _, changes = watching(path)
    replace_file(target, [b"new"])
    assert_seen(changes, path)
    path.unlink()
    path.symlink_to(write(tmp_path / "third/kuma-sd.conf", "third"))
    assert_seen(changes, path)
    write(tmp_path / "third/kuma-sd.conf", "fourth")
    assert_seen(changes, path)


def test_vanishing_and_appearing_are_changes(tmp_path: Path, watching: Watching) -> None:
    path = tmp_path / "a"
    _, changes = watching(path)
    write(path, "x")
    assert_seen(changes, path)
    path.unlink()
    assert_seen(changes, path)


def test_a_directory_that_is_deleted_and_made_again_is_watched_again(tmp_path: Path, watching: Watching) -> None:
    path = write(tmp_path / "etc/kuma-sd/a", "old")
    _, changes = watching(path)
    for text in ("one", "two"):
        shutil.rmtree(tmp_path / "etc")
        assert_seen(changes, path)
        write(path, text)
        assert_seen(changes, path)
        write(path, f"{text} more")
        assert_seen(changes, path)


def test_a_directory_that_is_deleted_and_made_again_at_once_is_watched_again(
    tmp_path: Path, watching: Watching
) -> None:
    path = write(tmp_path / "etc/a", "old")
    watcher, changes = watching(path)
    shutil.rmtree(tmp_path / "etc")
    write(path, "old")
    settle(watcher)
    settle(watcher)
    while not changes.empty():
        changes.get()  # it may have been seen to be gone
    write(path, "new")
    assert_seen(changes, path)


def test_a_directory_that_does_not_exist_yet_is_waited_for(tmp_path: Path, watching: Watching) -> None:
    path = tmp_path / "not/made/yet/a"
    _, changes = watching(path)
    path.parent.mkdir(parents=True)
    write(path, "x")
    assert_seen(changes, path)
    write(path, "y")
    assert_seen(changes, path)


def test_touching_reading_and_equal_content_are_no_changes(tmp_path: Path, watching: Watching) -> None:
    path = write(tmp_path / "a", "same")
    watcher, changes = watching(path, calm=0.5)
    path.touch()
    path.chmod(0o600)
    replace_file(path, [b"same"])
    write(tmp_path / "b", "another file")
    path.read_text()
    assert_nothing_seen(watcher, changes)


def test_reading_wakes_nobody(tmp_path: Path, watching: Watching) -> None:
    path = write(tmp_path / "a", "same")
    watcher, changes = watching(path)
    assert_nothing_seen(watcher, changes)
    watcher._stirred.clear()
    path.read_text()
    list(tmp_path.iterdir())
    assert not watcher._stirred.wait(0.2)


def test_only_those_that_changed_are_named(tmp_path: Path, watching: Watching) -> None:
    one, other = write(tmp_path / "a", "1"), write(tmp_path / "x/b", "1")
    _, changes = watching(one, other, calm=0.1)
    write(one, "2")
    assert_seen(changes, one)
    write(one, "3")
    write(other, "3")
    assert_seen(changes, one, other)


def test_what_is_written_slowly_is_seen_once_it_is_whole(tmp_path: Path, watching: Watching) -> None:
    path = write(tmp_path / "a", "old")
    _, changes = watching(path, calm=0.5)
    with path.open("w") as file:
        for _ in range(20):
            print("a line", file=file, flush=True)
    assert_seen(changes, path)
    assert changes.empty()


def test_a_busy_directory_does_not_put_off_a_change_for_ever(
    tmp_path: Path, watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(file_watcher, "MOST_CALMS", 2)
    path, noise = write(tmp_path / "a", "old"), tmp_path / "noise"
    _, changes = watching(path, calm=0.1)
    write(path, "new")
    while changes.empty():
        noise.touch()
        noise.unlink()
    assert_seen(changes, path)


def test_a_large_file_is_not_read(tmp_path: Path, watching: Watching) -> None:
    path = tmp_path / "large"
    replace_file(path, [bytes(file_watcher.SMALL), b"+"])
    watcher, changes = watching(path)
    # Numbers of its status, and no digest.
    assert {type(item) for item in watcher._seen[path].signature} == {int}  # type: ignore[attr-defined]
    replace_file(path, [bytes(file_watcher.SMALL), b"-"])
    assert_seen(changes, path)


def test_a_large_file_is_seen_to_change_although_its_time_is_put_back(tmp_path: Path, watching: Watching) -> None:
    path = tmp_path / "large"
    path.write_bytes(bytes(file_watcher.SMALL + 1))
    status = path.stat()
    _, changes = watching(path)
    with path.open("r+b") as file:
        file.write(b"+")
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert_seen(changes, path)


def test_a_pipe_is_left_to_its_reader(tmp_path: Path, watching: Watching) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    watcher, changes = watching(path)
    assert_nothing_seen(watcher, changes)


def test_other_files_can_be_followed(tmp_path: Path, watching: Watching) -> None:
    old, new = write(tmp_path / "old/a", "1"), write(tmp_path / "new/a", "1")
    watcher, changes = watching(old)
    watcher.follow([new])
    settle(watcher)
    write(old, "2")
    assert_nothing_seen(watcher, changes)
    write(new, "2")
    assert_seen(changes, new)


def test_a_change_during_a_reload_is_not_missed(tmp_path: Path) -> None:
    path = write(tmp_path / "a", "1")
    changes: Changes = queue.SimpleQueue()
    watcher = FileWatcher([path], changes.put, NEVER)
    write(path, "2")
    watcher.follow([path, tmp_path / "b"])
    watcher._look()
    assert_seen(changes, path)


def test_without_any_event_changes_are_seen_by_looking(
    tmp_path: Path, watching: Watching, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(*_arguments: object) -> None:
        raise OSError(28, "inotify watch limit reached")

    monkeypatch.setattr("watchdog.observers.inotify.InotifyEmitter.on_thread_start", refuse)
    path = write(tmp_path / "a", "1")
    watcher, changes = watching(path, interval=0.05)
    write(path, "2")
    assert_seen(changes, path)
    settle(watcher)
    assert caplog.text.count("seen_within=50ms") == 1


LIMITED = """
import queue, resource, sys
from pathlib import Path
from kuma_sd.system.threads import Threads
from kuma_sd.system.file_watcher import FileWatcher
path, changes, threads = Path(sys.argv[1]), queue.SimpleQueue(), Threads()
import watchdog.observers
resource.setrlimit(resource.RLIMIT_NOFILE, (5, 5))
blockers = []
try:
    while True:
        blockers.append(open("/dev/null"))
except OSError:
    blockers.pop().close()  # one is left, for looking
threads.start("watcher", FileWatcher([path], changes.put, 0.05, 0.01))
print("watching", flush=True)
sys.stdin.readline()
print([str(one) for one in changes.get(timeout=10)], flush=True)
assert threads.stop(5) == [] and not threads.failure, threads.failure
"""


def test_when_the_kernel_refuses_to_watch_changes_are_seen_by_looking(tmp_path: Path) -> None:
    path = write(tmp_path / "a", "1")
    with subprocess.Popen(
        [sys.executable, "-c", LIMITED, str(path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "watching\n"
        write(path, "2")
        out, errors = process.communicate("\n", timeout=20)
    assert out == f"['{path}']\n", errors
    assert errors.count("inotify watches are not available") == 1
    assert TOO_MANY_OPEN_FILES in errors


def test_when_no_thread_can_be_started_changes_are_seen_by_looking(
    tmp_path: Path, watching: Watching, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def refuse(_observer: object) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr("watchdog.observers.Observer.start", refuse)
    path = write(tmp_path / "a", "1")
    _, changes = watching(path, interval=0.05)
    write(path, "2")
    assert_seen(changes, path)
    assert caplog.text.count("inotify watches are not available") == 1
    assert "too many threads" in caplog.text


def test_closing_is_quick(tmp_path: Path) -> None:
    paths = [write(tmp_path / f"{number}/a", "x") for number in range(5)]
    threads = Threads()
    watcher = FileWatcher(paths, print, NEVER)
    threads.start("watcher", watcher)
    settle(watcher)
    begun = time.perf_counter()
    assert threads.stop(timeout=5) == []
    assert time.perf_counter() - begun < 0.3


def test_no_thread_and_no_descriptor_stays(tmp_path: Path) -> None:
    path = write(tmp_path / "etc/a", "x")
    import watchdog.observers  # noqa: F401, PLC0415 (what it loads once is no leak)

    before = threads_and_descriptors()
    for _ in range(3):
        threads = Threads()
        watcher = FileWatcher([path], print, NEVER, 0.0)
        threads.start("watcher", watcher)
        settle(watcher)
        shutil.rmtree(path.parent)
        settle(watcher)
        write(path, "x")
        settle(watcher)
        assert threads.stop(timeout=5) == []
    assert threads_and_descriptors() == before


def threads_and_descriptors() -> tuple[int, int]:
    return threading.active_count(), len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("change", [lambda path: path.write_bytes(b"of somebody else"), Path.unlink])
def test_what_somebody_else_did_before_we_said_what_we_wrote_is_a_change(
    tmp_path: Path, change: Callable[[Path], object]
) -> None:
    path, changes = tmp_path / "file", queue.SimpleQueue[frozenset[Path]]()
    path.write_bytes(b"ours")
    written = path.stat()
    watcher = FileWatcher([path], changes.put, interval=0.05)
    change(path)
    watcher.saw(path, written)
    thread = threading.Thread(target=watcher.run)
    thread.start()
    assert changes.get(timeout=10) == {path}
    watcher.close()
    thread.join()


def test_a_directory_that_may_not_be_entered_does_not_end_the_watch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Root may enter any; the kernel's answer to others is given here.
    def stat(_path: Path, **_options: object) -> os.stat_result:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    watcher = FileWatcher([tmp_path / "closed" / "file"], lambda _changed: None, interval=0.01)
    monkeypatch.setattr(Path, "stat", stat)
    thread = threading.Thread(target=watcher.run)
    thread.start()
    thread.join(0.2)
    alive = thread.is_alive()
    watcher.close()
    thread.join()
    assert alive


def test_directories_are_not_found_again_for_what_the_caller_wrote(
    tmp_path: Path, watching: Watching, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path / "a", "x")
    watcher, changes = watching(path)
    finding = Mock(wraps=file_watcher._directories_of)
    monkeypatch.setattr(file_watcher, "_directories_of", finding)
    watcher.saw(path, replace_file(path, [b"y"]))
    assert_nothing_seen(watcher, changes)
    assert_nothing_seen(watcher, changes)
    finding.assert_not_called()
    path.write_text("z")
    assert_seen(changes, path)
    settle(watcher)
    finding.assert_called()
