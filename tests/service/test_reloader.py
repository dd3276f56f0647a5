"""When settings are read again, with the real thread and steps that do as they are told."""

import threading
from collections.abc import Iterator

import pytest
from settings_kit import settings_of
from waiting import eventually

from kuma_sd import ConfigError, PluginError
from kuma_sd.service import reloader
from kuma_sd.service.reloader import Reloader, ReloadSteps
from kuma_sd.settings.model import Settings
from kuma_sd.system.threads import Threads


def with_interval(interval: str) -> Settings:
    return settings_of("--cp-address=grpc://192.0.2.1:5676", f"--min-interval={interval}")


class Steps:
    """Reads what it was given last; an error is raised."""

    def __init__(self, found: Settings | ConfigError | PluginError) -> None:
        self.found = found
        self.new_files = False
        self.read = 0
        self.applied: list[Settings] = []
        self.ended: list[str] = []
        self.gate = threading.Event()
        self.gate.set()

    def steps(self) -> ReloadSteps:
        return ReloadSteps(self._read, self.applied.append, lambda _: self.new_files, lambda: None, self.ended.append)

    def _read(self) -> Settings:
        self.read += 1
        self.gate.wait()
        if isinstance(self.found, (ConfigError, PluginError)):
            raise self.found
        return self.found


@pytest.fixture(autouse=True)
def in_a_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RETRY_SECONDS", "MISSED_EDIT_SECONDS", "REST_SECONDS"):
        monkeypatch.setattr(reloader, name, 0.01)


@pytest.fixture
def threads() -> Iterator[Threads]:
    threads = Threads()
    yield threads
    assert threads.stop(timeout=5) == []
    assert threads.failure is None


def test_an_edit_before_the_files_were_watched_is_not_missed(threads: Threads) -> None:
    told = Steps(with_interval("2s"))
    threads.start("settings", Reloader(with_interval("1s"), told.steps()))
    eventually(lambda: told.applied == [with_interval("2s")], "it is honoured though nobody asked")
    assert told.ended == [""]


def test_settings_are_read_once_more_and_quietly_when_their_files_were_not_watched(threads: Threads) -> None:
    told = Steps(with_interval("1s"))
    told.new_files = True
    threads.start("settings", Reloader(with_interval("1s"), told.steps()))
    eventually(lambda: told.read > 2, "they are read while that is so")
    told.new_files = False
    read = told.read
    threads.stop(timeout=5)
    assert told.read <= read + 2
    assert (told.applied, told.ended) == ([], [])


def test_settings_that_are_wrong_are_tried_until_they_are_right_and_said_once(
    threads: Threads, caplog: pytest.LogCaptureFixture
) -> None:
    told = Steps(ConfigError("a file that they name is no YAML"))
    threads.start("settings", Reloader(with_interval("1s"), told.steps()))
    eventually(lambda: told.read > 3, "they are tried again")
    told.found = with_interval("2s")
    eventually(lambda: told.applied == [with_interval("2s")], "they are honoured once they are right")
    assert told.ended == ["a file that they name is no YAML", ""]
    assert caplog.text.count("a file that they name is no YAML") == 1


def test_an_unexpected_exception_of_a_plugin_is_logged_with_its_traceback(
    threads: Threads, caplog: pytest.LogCaptureFixture
) -> None:
    error = PluginError("output redis fails: ZeroDivisionError: oops")
    error.__cause__ = ZeroDivisionError("oops")
    told = Steps(error)
    threads.start("settings", Reloader(with_interval("1s"), told.steps()))
    eventually(lambda: told.read > 3, "they are tried again")
    (record,) = caplog.records
    assert record.exc_info
    assert record.exc_info[1] is error.__cause__


def test_what_is_asked_for_meanwhile_is_done_once_afterwards(threads: Threads) -> None:
    told = Steps(with_interval("1s"))
    one = Reloader(with_interval("1s"), told.steps())
    threads.start("settings", one)
    eventually(lambda: told.read == 1, "it has looked once by itself")
    told.gate.clear()
    one.ask()
    eventually(lambda: told.read == 2, "it is reading")
    for _ in range(100):
        one.ask()
    told.gate.set()
    eventually(lambda: told.ended == ["", ""], "both are over")
    assert told.read == 3
