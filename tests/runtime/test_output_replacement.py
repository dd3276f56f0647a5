"""Outputs of a reload take the places of those that leave."""

import contextlib
import socket
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from daemon_in_process import ToldSource, observed
from own_port import own_port
from published_names import names, never_without
from settings_kit import plugins_of, settings_of
from waiting import PATIENCE, eventually

from kuma_sd import NUMBER, Context, Output, OutputError, OutputPlugin, Publication, SourcePlugin, option
from kuma_sd.runtime import daemon as daemon_module
from kuma_sd.runtime import output_replacement
from kuma_sd.runtime.daemon import Daemon
from kuma_sd.settings.model import Settings
from kuma_sd.testing import CODEC
from kuma_sd_bundled import file_sd

ONE = "--cp-address=grpc://192.0.2.1:5676", "--output=told"


def test_after_a_refused_reload_the_log_says_that_the_old_settings_stay(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    with observed(tmp_path, *ONE) as daemon:
        daemon.publish("a")
        daemon.daemon._open_again([])
        eventually(lambda: "the old settings stay in effect" in caplog.text, "the old settings are adopted again")
    assert "new settings in effect" not in caplog.text


@dataclass(frozen=True)
class PortOptions:
    port: int = option(0, NUMBER, "The port that it holds from start() to close().")


class Listening(Output):
    """An output of another distribution, which holds a port."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.published = threading.Event()
        self.may_publish = threading.Event()
        self.may_publish.set()
        self._socket: socket.socket | None = None

    def start(self) -> None:
        held = socket.socket()
        try:
            held.bind(("127.0.0.1", self.port))
            held.listen()
        except OSError as error:
            held.close()
            raise OutputError(f"port {self.port}: {error.strerror}") from error
        self._socket = held

    def publish(self, publication: Publication) -> None:
        del publication
        self.published.set()
        self.may_publish.wait(PATIENCE)

    def close(self) -> None:
        if self._socket:
            self._socket.close()


class Replaced:
    """A daemon whose outputs move."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.ports: list[Listening] = []
        self.sources: list[ToldSource] = []
        described: dict[str, SourcePlugin | OutputPlugin] = {
            "source.grpc": SourcePlugin(self._source, codec=lambda _name: CODEC),
            "output.file": file_sd.kuma_sd_output_plugin(),
            "output.port": OutputPlugin(self._port, PortOptions),
        }
        self._plugins = plugins_of(described)

    def settings(self, plugin: str, **places: object) -> Settings:
        """Return settings with these outputs, each at its path or port."""
        file = self.directory / "kuma-sd.conf"
        outputs = " ".join(f"{name}={plugin}" for name in places)
        core = f"cp-address = grpc://localhost:5676\nstate-dir = {self.directory}/state\nmin-interval = 0"
        key = "path" if plugin == "file" else "port"
        sections = "".join(f"[{name}]\n{key} = {place}\n" for name, place in places.items())
        file.write_text(f"[kuma-sd]\n{core}\noutput = {outputs}\n{sections}")
        return settings_of(file=file, plugins=self._plugins)

    def files(self, **places: str) -> Settings:
        """Return settings with outputs that write these files."""
        return self.settings("file", **{name: self.path(place) for name, place in places.items()})

    def path(self, place: str) -> Path:
        return self.directory / "published" / f"{place}.json"

    @contextlib.contextmanager
    def running(self, settings: Settings) -> Iterator[Daemon]:
        daemon = Daemon(settings)
        daemon.start()
        try:
            yield daemon
        finally:
            for port in self.ports:
                port.may_publish.set()
            daemon.stop()

    def is_published(self, places: Iterable[str], *targets: str) -> bool:
        return all(names(self.path(place)) == list(targets) for place in places)

    def _source(self, _options: object, context: Context) -> ToldSource:
        self.sources.append(ToldSource(context))
        return self.sources[-1]

    def _port(self, options: PortOptions, _context: Context) -> Listening:
        self.ports.append(Listening(options.port))
        return self.ports[-1]


@pytest.fixture
def replaced(tmp_path: Path) -> Replaced:
    return Replaced(tmp_path)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ({"one": "x", "two": "y"}, {"one": "y", "two": "x"}),
        ({"one": "x", "two": "y", "three": "z"}, {"one": "y", "two": "z", "three": "x"}),
        ({"one": "x", "two": "y"}, {"one": "y"}),
        ({"one": "x", "two": "y"}, {"one": "y", "two": "z"}),
        ({"one": "x", "two": "y"}, {"three": "x", "one": "y"}),
    ],
    ids=["swapped", "a cycle", "taken from one that is removed", "taken from one that moves", "left to a new one"],
)
def test_an_output_takes_the_file_of_one_that_leaves_it_in_the_same_reload(
    replaced: Replaced, before: dict[str, str], after: dict[str, str]
) -> None:
    with replaced.running(replaced.files(**before)) as daemon:
        replaced.sources[0].send("a", "b")
        eventually(lambda: replaced.is_published(before.values(), "a", "b"), "all outputs have published")
        with never_without(["a", "b"], *map(replaced.path, before.values())):
            daemon.reload(replaced.files(**after))
            replaced.sources[0].send("a", "b", "c")
            eventually(lambda: replaced.is_published(after.values(), "a", "b", "c"), "they publish at their new places")
        assert daemon.outputs.keys() == after.keys()
        assert all(replaced.is_published([left], "a", "b") for left in set(before.values()) - set(after.values()))


def test_outputs_of_other_distributions_swap_the_ports_that_they_hold(replaced: Replaced) -> None:
    one, two = own_port(), own_port()
    with replaced.running(replaced.settings("port", one=one, two=two)) as daemon:
        daemon.reload(replaced.settings("port", one=two, two=one))
        replaced.sources[0].send("a")
        assert all(port.published.wait(PATIENCE) for port in replaced.ports[-2:])
        assert [port.port for port in replaced.ports] == [one, two, two, one]


def test_all_old_outputs_continue_if_one_of_those_that_swap_cannot_start_and_are_not_stopped_again_in_vain(
    replaced: Replaced,
) -> None:
    before, after = {"one": "x", "two": "y"}, {"one": "y", "two": "blocked/x"}
    with replaced.running(replaced.files(**before)) as daemon:
        replaced.sources[0].send("a")
        eventually(lambda: replaced.is_published(before.values(), "a"), "all outputs have published")
        (replaced.directory / "published/blocked").write_text("no directory")
        refused = r"output two: .*blocked"
        with never_without(["a"], *map(replaced.path, before.values())):
            with pytest.raises(OutputError, match=refused):
                daemon.reload(replaced.files(**after))
            again = dict(daemon.outputs)
            with pytest.raises(OutputError, match=refused):
                daemon.reload(replaced.files(**after))
            assert daemon.outputs == again
            replaced.sources[0].send("a", "b")
            eventually(lambda: replaced.is_published(before.values(), "a", "b"), "the old outputs continue")
            (replaced.directory / "published/blocked").unlink()
            daemon.reload(replaced.files(**after))
            eventually(lambda: replaced.is_published(after.values(), "a", "b"), "both are at their new places")


def test_an_output_that_does_not_end_keeps_its_place_and_the_others_continue(
    replaced: Replaced, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(daemon_module, "START_TIMEOUT", 0.1)
    monkeypatch.setattr(output_replacement, "HAND_OVER_PAUSE_SECONDS", 0.0)
    one, two = own_port(), own_port()
    with replaced.running(replaced.settings("port", one=one, two=two)) as daemon:
        replaced.ports[1].may_publish.clear()
        replaced.sources[0].send("a")
        assert replaced.ports[1].published.wait(PATIENCE)
        after = replaced.settings("port", one=two)
        with pytest.raises(OutputError, match="output two: did not end, so that no output can take its place"):
            daemon.reload(after)
        again = replaced.ports[-2]
        assert again.port == one
        assert again.published.wait(PATIENCE)
        replaced.ports[1].may_publish.set()
        eventually(lambda: _reloads(daemon, after), "the reload succeeds once the old output has ended")


def _reloads(daemon: Daemon, settings: Settings) -> bool:
    with contextlib.suppress(OutputError):
        daemon.reload(settings)
        return True
    return False
