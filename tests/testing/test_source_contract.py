"""The contract for sources: ours keep to it, and it finds the bugs that it is there for."""

import contextlib
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kuma_sd import Codec, Context, Snapshot, SourceError, SourcePlugin, SourceStatus
from kuma_sd.mads.plugin import MadsOptions, kuma_sd_source_plugin
from kuma_sd.testing import CODEC, SourceContract, control_plane, snapshot

NAMES = ("backend-02", "backend-01")


class MadsCase(SourceContract):
    plugin = kuma_sd_source_plugin()
    transport = "grpc"

    def options(self, directory: Path) -> MadsOptions:
        del directory
        return MadsOptions(transport=self.transport)

    @contextlib.contextmanager
    def address(self, directory: Path) -> Iterator[str]:
        del directory
        with control_plane(*NAMES) as running:
            yield running.url

    def unreachable(self) -> str:
        # Nothing listens at the discard port of loopback.
        return "http://127.0.0.1:9"


class TestMadsOverGRPC(MadsCase):
    transport = "grpc"


class TestMadsOverHTTP(MadsCase):
    transport = "http"


class Good:
    """A source of two dataplanes that waits for its close()."""

    def __init__(self, _options: Any, context: Context) -> None:
        self.status = SourceStatus()
        self.reachable = "nowhere" not in context.address.hosts
        self.closing = threading.Event()
        self.name = context.name

    def __iter__(self) -> Iterator[Snapshot]:
        if not self.reachable:
            raise SourceError("nothing answers")
        if self.closing.is_set():
            return
        self.status = SourceStatus(connected=True, last_response=1.0, protocol="good")
        yield self.snapshot()
        self.closing.wait()
        self.status = SourceStatus(last_response=2.0, contact=2.0)

    def snapshot(self) -> Snapshot:
        return snapshot(*NAMES, control_plane=self.name)

    def close(self) -> None:
        self.closing.set()


def codec(name: str) -> Codec:
    return {CODEC.name: CODEC}[name]


class GoodCase(SourceContract):
    plugin = SourcePlugin(open=Good, codec=codec)

    @contextlib.contextmanager
    def address(self, directory: Path) -> Iterator[str]:
        del directory
        yield "good://somewhere"

    def unreachable(self) -> str:
        return "good://nowhere"


class TestAGoodSource(GoodCase):
    pass


class IsUnsorted(Good):
    def snapshot(self) -> Snapshot:
        built = super().snapshot()
        return Snapshot(self.name, list(reversed(built.assignments)), built.received, built.connected)


class ForgetsItsName(Good):
    def snapshot(self) -> Snapshot:
        return snapshot(*NAMES)


class HasNothing(Good):
    def snapshot(self) -> Snapshot:
        return snapshot(control_plane=self.name)


class IsConnectedAtOnce(Good):
    def __init__(self, options: Any, context: Context) -> None:
        super().__init__(options, context)
        self.status = SourceStatus(connected=True)


class IsNeverConnected(Good):
    @property
    def status(self) -> SourceStatus:
        return SourceStatus()

    @status.setter
    def status(self, _status: SourceStatus) -> None: ...


class GoesOnForALittle(Good):
    def close(self) -> None:
        threading.Timer(3, self.closing.set).start()


class ForgetsThatItWasClosed(Good):
    def __iter__(self) -> Iterator[Snapshot]:
        yield self.snapshot()


class RaisesWhatItWants(Good):
    def __iter__(self) -> Iterator[Snapshot]:
        if not self.reachable:
            raise OSError("nothing answers")
        return super().__iter__()


class SaysTooMuch(Good):
    def __iter__(self) -> Iterator[Snapshot]:
        if not self.reachable:
            raise SourceError("nothing\nanswers")
        return super().__iter__()


class MisspeltStatus(Good):
    @property
    def statuses(self) -> SourceStatus:
        return SourceStatus()

    def __getattribute__(self, name: str) -> Any:
        if name == "status":
            raise AttributeError(name)
        return super().__getattribute__(name)

    def __dir__(self) -> list[str]:
        return ["close", "statuses"]


@pytest.mark.parametrize(
    ("source", "test"),
    [
        (MisspeltStatus, "what_it_offers_is_spelt_right"),
        (IsUnsorted, "a_snapshot_is_sorted_and_has_each_key_once"),
        (ForgetsItsName, "a_snapshot_is_sorted_and_has_each_key_once"),
        (HasNothing, "a_snapshot_is_sorted_and_has_each_key_once"),
        (IsConnectedAtOnce, "opening_connects_to_nothing"),
        (IsNeverConnected, "its_status_says_that_it_is_connected"),
        (GoesOnForALittle, "closing_ends_the_iteration_at_once"),
        (ForgetsThatItWasClosed, "a_source_that_was_closed_connects_no_more"),
        (RaisesWhatItWants, "what_cannot_be_reached_is_a_source_error"),
        (SaysTooMuch, "what_cannot_be_reached_is_a_source_error"),
    ],
)
def test_the_contract_finds_a_source_that(source: type[Good], test: str, tmp_path: Path) -> None:
    case = GoodCase()
    case.plugin = SourcePlugin(open=source, codec=codec)
    with pytest.raises((AssertionError, OSError)):
        getattr(case, f"test_{test}")(tmp_path)


def test_the_contract_finds_a_codec_that_is_made_anew_or_takes_any_name(tmp_path: Path) -> None:
    case = GoodCase()
    case.plugin = SourcePlugin(open=Good, codec=lambda _name: type(CODEC)())
    with pytest.raises(AssertionError, match="very same codec"):
        case.test_what_it_hands_out_can_be_read_again(tmp_path)
    with pytest.raises(pytest.fail.Exception):
        case.test_an_unknown_codec_is_a_key_error()
