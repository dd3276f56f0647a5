"""The kit for plugin authors: builders, contract tests, and a control plane to connect to.

A plugin's tests begin like this::

    from kuma_sd.testing import OutputContract, TransformContract

    class TestMyOutput(OutputContract):
        plugin = MY_OUTPUT

        def options(self, directory):
            return MyOptions(path=directory / "targets.json")

    class TestMyTransform(TransformContract):
        plugin = MY_TRANSFORM

Only the fixture ``kuma_control_plane`` needs pytest; ``pytest_plugins = ["kuma_sd.testing"]`` in the topmost
conftest.py makes it known.
"""

import contextlib
import copy
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, Unpack

import msgspec

from kuma_sd import (
    Assignment,
    Context,
    GroupKey,
    Key,
    Labels,
    Output,
    OutputError,
    OutputPlugin,
    Publication,
    Snapshot,
    Target,
    TargetGroup,
    Transform,
    TransformPlugin,
)

if TYPE_CHECKING:
    from kuma_sd.simulator import ControlPlane, Dataplane, World


class Facts(TypedDict, total=False):
    """What can be said of a target beside its name; everything has a default."""

    control_plane: str
    mesh: str
    service: str
    address: str
    scheme: str
    metrics_path: str
    labels: Labels


def target(name: str = "backend-01", **facts: Unpack[Facts]) -> Target:
    """Build a target.

    Args:
        name: the name of the dataplane.
        **facts: what should differ from the defaults.
    """
    labels = {"env": "prod", "envs": ",prod,", "kuma_io_service": "backend", "kuma_io_services": ",backend,"}
    default = Target("", "default", "backend", name, "192.0.2.1:5670", "http", "/metrics", labels)
    return default._replace(**facts)


class JSONCodec:
    """Reads the assignments that are built here: their bytes are the target's facts as JSON."""

    name = "testing"

    def read(self, key: Key, data: bytes) -> Target:
        """Read one target; bytes that are no such JSON raise, as with every codec."""
        del key  # the facts are all in the bytes
        return msgspec.json.decode(data, type=Target)


CODEC = JSONCodec()


def assignment(name: str = "backend-01", *, index: int = 0, **facts: Unpack[Facts]) -> Assignment:
    """Build an assignment, whose bytes `CODEC` reads; equal facts make equal bytes.

    Args:
        name: the name of the dataplane.
        index: its place among assignments of the same control plane, mesh and name.
        **facts: what should differ from the defaults.
    """
    built = target(name, **facts)
    key = Key(built.control_plane, built.mesh, built.name, index)
    return Assignment(key, msgspec.json.encode(built, order="sorted"), CODEC)


def snapshot(
    *assignments: Assignment | str,
    control_plane: str = "",
    received: float = 1.0,
    connected: float = 0.0,
    complete: bool = True,
) -> Snapshot:
    """Build a snapshot; the assignments are sorted as a source must.

    Args:
        *assignments: what it holds; a text is the name of a default assignment of this control plane.
        control_plane: its name; empty for the only one.
        received: when the message came, in seconds.
        connected: when its connection was made, in seconds.
        complete: False when something did not parse.
    """
    built = [assignment(a, control_plane=control_plane) if isinstance(a, str) else a for a in assignments]
    return Snapshot(control_plane, sorted(built, key=lambda a: a.key), received, connected, complete)


def group(name: str = "backend-01", *, place: int = 0, **facts: Unpack[Facts]) -> TargetGroup:
    """Build the target group that the default label profile makes of a target.

    Args:
        name: the name of the dataplane.
        place: its place among the results of its transforms.
        **facts: what should differ from the defaults.
    """
    built = target(name, **facts)
    key = GroupKey(Key(built.control_plane, built.mesh, built.name, 0), place)
    return TargetGroup.render(key, labels_of(built))


def labels_of(built: Target) -> Labels:
    """Return a target's labels as the default label profile makes them, simplified: names are taken as they are."""
    where = {"__address__": built.address, "__scheme__": built.scheme, "__metrics_path__": built.metrics_path}
    what = {"mesh": built.mesh, "service": built.service, "job": built.service}
    return built.labels | where | what | {"dataplane": built.name, "instance": built.name}


def publication(*groups: TargetGroup | str, received: float = 1.0) -> Publication:
    """Build a publication; its groups are sorted.

    Args:
        *groups: what it holds; a text is the name of a default group.
        received: when the newest message in it came, in seconds.
    """
    built = [group(g) if isinstance(g, str) else g for g in groups]
    return Publication.of(sorted(built), received)


class OutputContract:
    """What every output must do. Subclass it as ``TestSomething``, name the plugin, and run pytest.

    Override `options()` when the defaults write outside the test's directory, `broken()` and `published()` for
    outputs that can fail on purpose and whose work can be read back: more is tested then.
    """

    plugin: OutputPlugin

    def options(self, directory: Path) -> Any:  # noqa: ANN401 (each plugin has its own class)
        """Return options for one instance; whatever it writes belongs into this empty directory."""
        del directory
        return self.plugin.options()

    def broken(self, directory: Path) -> Any:  # noqa: ANN401 (likewise)
        """Return options with which start() or publish() must fail; None when there are none."""
        del directory
        return None

    def published(self, options: Any) -> Iterable[Any] | None:  # noqa: ANN401 (likewise)
        """Read back what is published, ``{"targets": […], "labels": {…}}`` for each group; None when it cannot be."""
        del options
        return None

    def test_opening_claims_and_writes_nothing(self, tmp_path: Path) -> None:
        """`kuma-sd check` opens every output beside a running daemon."""
        options = self.options(tmp_path)
        before = sorted(tmp_path.rglob("*"))
        with contextlib.closing(self._open(options)), contextlib.closing(self._open(options)):
            assert sorted(tmp_path.rglob("*")) == before, "open() wrote something; that is for start() and publish()"

    def test_it_publishes_whatever_comes(self, tmp_path: Path) -> None:
        """Additions, changes, removals, nothing new, an empty list, unusual text."""
        options = self.options(tmp_path)
        with self._started(options) as output:
            for each in _publications():
                output.publish(each)
                self._assert_published(options, each)

    def test_closing_takes_nothing_away_nor_does_closing_twice(self, tmp_path: Path) -> None:
        """The end of the daemon takes no target away."""
        options, last = self.options(tmp_path), publication("backend-01", "backend-02")
        with self._started(options) as output:
            output.publish(last)
            output.close()
        self._assert_published(options, last)

    def test_a_new_instance_takes_over(self, tmp_path: Path) -> None:
        """At a reload the new instance is opened beside the old one, and started after the old one's close()."""
        options, last = self.options(tmp_path), publication("backend-02")
        new = self._open(options)
        with self._started(options) as old:
            old.publish(publication("backend-01"))
        with contextlib.closing(new):
            new.start()
            new.publish(last)
        self._assert_published(options, last)

    def test_it_fails_with_an_output_error(self, tmp_path: Path) -> None:
        """Any other exception counts as a bug of the plugin and is logged with its traceback."""
        options = self.broken(tmp_path)
        if options is None:
            return
        error = self._failure(options)
        assert error, "neither start() nor publish() raised an OutputError with the options of broken()"
        assert len(str(error).splitlines()) == 1, "an OutputError's message is one line that says what to do about it"

    def _open(self, options: Any) -> Output:  # noqa: ANN401 (likewise)
        return self.plugin.open(options, Context(name=self.plugin.name))

    def _failure(self, options: Any) -> OutputError | None:  # noqa: ANN401 (likewise)
        try:
            with self._started(options) as output:
                output.publish(publication("backend-01"))
        except OutputError as error:
            return error
        return None

    @contextlib.contextmanager
    def _started(self, options: Any) -> Iterator[Output]:  # noqa: ANN401 (likewise)
        with contextlib.closing(self._open(options)) as output:
            output.start()
            yield output

    def _assert_published(self, options: Any, expected: Publication) -> None:  # noqa: ANN401 (likewise)
        found = self.published(options)
        if found is not None:
            encode = msgspec.json.Encoder(order="sorted").encode
            wanted = Counter(encode({"targets": one.targets, "labels": one.labels}) for one in expected.groups)
            present = Counter(map(encode, found))
            assert not wanted - present, f"not published: {list(wanted - present)}"
            assert not present - wanted, f"published, but should not be: {list(present - wanted)}"


def _publications() -> Iterator[Publication]:
    backend, web = group("backend-01"), group("web-01", address="[2001:db8::1]:5670")
    yield publication()
    yield publication(backend)
    yield publication(backend, web)
    yield publication(backend, web)
    yield publication(backend, group("web-01", address="192.0.2.2:5670", labels={"env": "test"}))
    yield publication(group("schön-01", labels={"odd": "\"quoted\" \\ <&> 'x' \x7f \u2028 ☃ 😀 {}: # %"}))
    yield publication(*(f"backend-{number}" for number in range(1000)))
    yield publication()


class TransformContract:
    """What every transform must do. Subclass it as ``TestSomething``, name the plugin, and run pytest."""

    plugin: TransformPlugin

    seconds_per_call = 0.0005  # at the start every target is transformed once: 100,000 of them take 50 s then

    def options(self, directory: Path) -> Any:  # noqa: ANN401 (each plugin has its own class)
        """Return the options to make it with; files they name belong into this empty directory."""
        del directory
        return self.plugin.options()

    def examples(self) -> list[Target]:
        """Return targets to try it on; add those that your transform treats specially."""
        return [
            target(),
            target("web-01", mesh="payments", service="web", address="[2001:db8::1]:5670", scheme="https"),
            target("gateway-01", address=":1234", metrics_path="", labels={}),
            target("schön-01", labels={"odd": "\"quoted\" \\ <&> 'x' \u2028 ☃ 😀 {}: # %", "empty": ""}),
        ]

    def test_it_changes_none_of_its_arguments(self, tmp_path: Path) -> None:
        """The same target goes through several branches."""
        transform = self._make(tmp_path)
        for example in self.examples():
            labels, before = labels_of(example), (labels_of(example), copy.deepcopy(example))
            list(transform(labels, example))
            assert (labels, example) == before, f"the arguments for {example.name} were changed; return new label sets"

    def test_its_results_are_label_sets(self, tmp_path: Path) -> None:
        """A dictionary from text to text each; none, one or several."""
        transform = self._make(tmp_path)
        for example in self.examples():
            for result in transform(labels_of(example), example):
                assert isinstance(result, dict), f"a result is no dictionary: {result!r}"
                assert all(isinstance(text, str) for pair in result.items() for text in pair), (
                    f"not all text: {result!r}"
                )

    def test_the_same_in_gives_the_same_out(self, tmp_path: Path) -> None:
        """Results are remembered, so they depend on nothing but the arguments: not on calls before, nor on time."""
        one, other = self._make(tmp_path), self._make(tmp_path)
        examples = self.examples()
        first = [_results(one, example) for example in examples]
        again = [_results(one, example) for example in reversed(examples)][::-1]
        elsewhere = [_results(other, example) for example in examples]
        assert first == again, "called again in another order, it gave other results"
        assert first == elsewhere, "made again of equal options, it gave other results"

    def test_it_is_fast(self, tmp_path: Path) -> None:
        """It runs once for each changed target, in the one thread that all targets go through."""
        transform = self._make(tmp_path)
        arguments = [(labels_of(example), example) for example in self.examples()] * 250
        started = time.process_time()
        for labels, example in arguments:
            list(transform(labels, example))
        spent = (time.process_time() - started) / len(arguments)
        assert spent < self.seconds_per_call, f"a call takes {spent * 1e6:.0f} µs"

    def _make(self, directory: Path) -> Transform:
        return self.plugin.make(self.options(directory))


def _results(transform: Transform, example: Target) -> list[Labels]:
    return [dict(result) for result in transform(labels_of(example), example)]


@contextlib.contextmanager
def control_plane(*dataplanes: "Dataplane | str", refresh: float = 0.0) -> "Iterator[ControlPlane[World]]":
    """Run a control plane on loopback while the block runs; ``.url`` is its address, ``.world`` what it serves.

    Args:
        *dataplanes: what its world holds; a text is the name of a default dataplane.
        refresh: seconds from one look at the world to the next; with 0 each change is sent at once.
    """
    from kuma_sd.simulator import ControlPlane, Dataplane, World  # noqa: PLC0415 (loads gRPC)

    world = World(Dataplane(one) if isinstance(one, str) else one for one in dataplanes)
    with ControlPlane(world, refresh=refresh) as running:
        yield running


with contextlib.suppress(ImportError):
    import pytest

    @pytest.fixture
    def kuma_control_plane() -> "Iterator[ControlPlane[World]]":
        """Run a control plane with an empty world, which the test fills."""
        with control_plane() as running:
            yield running
