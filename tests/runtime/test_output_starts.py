"""An output whose `start()` blocks or raises delays no other, neither at the start nor at a reload."""

import contextlib
import copy
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from daemon_in_process import ToldSource
from settings_kit import plugins_of, settings_of
from waiting import eventually

from kuma_sd import TEXT, Context, Output, OutputError, OutputPlugin, Publication, SourcePlugin, option
from kuma_sd.runtime import output_starts
from kuma_sd.runtime.daemon import Daemon
from kuma_sd.runtime.status_collector import StatusCollector
from kuma_sd.settings.model import Settings
from kuma_sd.testing import CODEC


@dataclass(frozen=True)
class NamedOptions:
    step: str = option("", TEXT, "What start() does.")


class Scripted(Output):
    """Does in start() what a test says, and remembers what happened to it."""

    def __init__(self, start: Callable[[], object]) -> None:
        self._start = start
        self.published = threading.Event()
        self.closed = threading.Event()

    def start(self) -> None:
        self._start()

    def publish(self, publication: Publication) -> None:
        del publication
        self.published.set()

    def close(self) -> None:
        self.closed.set()


@dataclass
class Script:
    """A daemon whose outputs do in `start()` what is written here under their option ``step``."""

    directory: Path
    steps: dict[str, Callable[[], object]] = field(default_factory=lambda: {"": lambda: None})
    outputs: list[Scripted] = field(default_factory=list)
    sources: list[ToldSource] = field(default_factory=list)

    def __post_init__(self) -> None:
        described: dict[str, SourcePlugin | OutputPlugin] = {
            "source.grpc": SourcePlugin(self._source, codec=lambda _name: CODEC),
            "output.scripted": OutputPlugin(self._output, NamedOptions),
        }
        self._plugins = plugins_of(described)

    def settings(self, **steps: str) -> Settings:
        file = self.directory / "kuma-sd.conf"
        names = " ".join(f"{name}=scripted" for name in steps)
        core = f"cp-address = grpc://localhost:5676\nstate-dir = {self.directory}/state\noutput = {names}"
        sections = "".join(f"[{name}]\nstep = {step}\n" if step else f"[{name}]\n" for name, step in steps.items())
        file.write_text(f"[kuma-sd]\n{core}\n{sections}")
        return settings_of(file=file, plugins=self._plugins)

    @contextlib.contextmanager
    def running(self, **steps: str) -> Iterator[Daemon]:
        daemon = Daemon(self.settings(**steps))
        daemon.start()
        try:
            yield daemon
        finally:
            daemon.stop()

    def _source(self, _options: object, context: Context) -> ToldSource:
        self.sources.append(ToldSource(context))
        return self.sources[-1]

    def _output(self, options: NamedOptions, _context: Context) -> Scripted:
        self.outputs.append(Scripted(self.steps[options.step]))
        return self.outputs[-1]


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    gate = threading.Event()
    yield gate
    gate.set()


@pytest.fixture
def script(tmp_path: Path, gate: threading.Event, monkeypatch: pytest.MonkeyPatch) -> Script:
    monkeypatch.setattr(output_starts, "START_TIMEOUT", 0.0)
    script = Script(tmp_path)
    script.steps["blocks"] = gate.wait
    return script


def raises(error: BaseException) -> Callable[[], None]:
    """Return a step that raises a copy of an error at each call."""

    def start() -> None:
        raise copy.copy(error)

    return start


def test_an_output_that_blocks_while_it_starts_delays_no_other_and_begins_when_it_has_started(
    script: Script, gate: threading.Event, caplog: pytest.LogCaptureFixture
) -> None:
    with script.running(slow="blocks", good="") as daemon:
        slow, good = script.outputs
        script.sources[0].send("a")
        assert good.published.wait(30)
        eventually(lambda: daemon.settled, "systemd hears that it is ready")
        problems = StatusCollector(daemon).status().problems
        (why,) = [problem.why for problem in problems if problem.output == "slow"]
        assert "still starting, since " in why
        assert "the output is still starting output=slow" in caplog.text
        assert not slow.published.is_set()
        gate.set()
        assert slow.published.wait(30)
        assert StatusCollector(daemon).status().outputs[0].starting is None


def test_an_output_that_still_starts_at_the_end_is_closed_and_holds_nothing_up(script: Script) -> None:
    daemon = Daemon(script.settings(slow="blocks"))
    daemon.start()
    assert daemon.stop() == []
    assert script.outputs[0].closed.is_set()


def test_a_request_to_stop_ends_the_wait_for_an_output(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_starts, "START_TIMEOUT", 3600.0)
    daemon = Daemon(script.settings(slow="blocks"))
    daemon.start(give_up=lambda: True)
    assert daemon.stop() == []


def test_an_output_that_refuses_to_start_ends_the_start(script: Script, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(output_starts, "START_TIMEOUT", 30.0)
    script.steps["refuses"] = raises(OutputError("it is taken"))
    daemon = Daemon(script.settings(good="", bad="refuses"))
    with pytest.raises(OutputError, match="output bad: it is taken"):
        daemon.start()
    assert script.outputs[0].closed.is_set()


@pytest.mark.parametrize("error", [ZeroDivisionError("oops"), SystemExit(3)])
def test_an_unexpected_exception_while_an_output_starts_is_logged_with_its_traceback_and_ends_nothing(
    script: Script, error: BaseException, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_starts, "START_TIMEOUT", 30.0)
    script.steps["fails"] = raises(error)
    with script.running(bad="fails", good="") as daemon:
        script.sources[0].send("a")
        assert script.outputs[1].published.wait(30)
        eventually(lambda: daemon.outputs["bad"].status.publishing.failing, "its worker tries it again")
    assert f"unexpected {type(error).__name__}" in caplog.text
    assert any(record.exc_info for record in caplog.records)


def test_the_old_output_continues_while_the_one_that_replaces_it_starts(script: Script, gate: threading.Event) -> None:
    with script.running(file="") as daemon:
        (old,) = script.outputs
        for _ in range(2):
            with pytest.raises(OutputError, match="output file: starting since "):
                daemon.reload(script.settings(file="blocks"))
        assert len(script.outputs) == 2, "a reload that is tried again starts no second one"
        script.sources[0].send("a")
        assert old.published.wait(30)
        gate.set()
        new = script.outputs[1]
        eventually(lambda: _reloads(daemon, script.settings(file="blocks")), "the reload succeeds once it has started")
        assert old.closed.wait(30)
        assert new.published.wait(30)


def test_an_output_that_starts_after_other_settings_replaced_its_own_is_closed(
    script: Script, gate: threading.Event
) -> None:
    script.steps["other"] = lambda: None
    with script.running(file="") as daemon:
        with pytest.raises(OutputError, match="starting since"):
            daemon.reload(script.settings(file="blocks"))
        eventually(lambda: _reloads(daemon, script.settings(file="other")), "the newest settings are in effect")
        gate.set()
        assert script.outputs[1].closed.wait(30)


def test_an_output_that_blocks_after_the_old_one_was_stopped_gives_its_place_back(
    script: Script, gate: threading.Event, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(output_starts, "START_TIMEOUT", 2.0)
    refuses = raises(OutputError("it is taken"))
    starts: Iterator[Callable[[], object]] = iter([refuses, gate.wait, refuses])

    def start() -> None:
        next(starts)()

    script.steps["taken"] = start
    with script.running(file="") as daemon:
        for _ in range(2):
            with pytest.raises(OutputError, match="output file: it is taken"):
                daemon.reload(script.settings(file="taken"))
        old, refused, again = script.outputs[:3]
        assert old.closed.is_set()
        script.sources[0].send("a")
        assert again.published.wait(30)
        assert not again.closed.is_set(), "the second reload stops nothing"
        gate.set()
        assert refused.closed.wait(30)


def test_an_output_that_is_new_at_a_reload_does_not_hold_the_reload_up(script: Script) -> None:
    with script.running(file="") as daemon:
        daemon.reload(script.settings(file="", slow="blocks"))
        script.sources[0].send("a")
        assert script.outputs[0].published.wait(30)
        eventually(lambda: daemon.outputs["slow"].starting, "the status names it")


def _reloads(daemon: Daemon, settings: Settings) -> bool:
    with contextlib.suppress(OutputError):
        daemon.reload(settings)
        return True
    return False
