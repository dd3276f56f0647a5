"""Contract tests for sources."""

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from kuma_sd import Snapshot, Source, SourceError, SourcePlugin
from kuma_sd.plugin.member_check import faults
from kuma_sd.testing.builders import context

AT_ONCE = 2.0
"""Maximum time until an iteration ends after close(), in seconds; twice what an idle machine needs."""

LONG = 30.0
"""Maximum wait for the first snapshot, in seconds."""


class SourceContract:
    """Tests what every source must do. Subclass it as ``TestSomething``, set ``plugin``, and run pytest.

    Override `address()` to run a server for it, and `unreachable()` to test a failure.
    """

    plugin: SourcePlugin

    def options(self, directory: Path) -> Any:  # noqa: ANN401 (each plugin has its own class)
        """Return the options to open it with; put files that they name into this empty directory."""
        del directory
        return self.plugin.options()

    @contextlib.contextmanager
    def address(self, directory: Path) -> Iterator[str]:
        """Run a server with at least one target while the block runs, and yield its address."""
        raise NotImplementedError

    def unreachable(self) -> str | None:
        """Return an address at which no server answers; None if there is none."""
        return None

    def test_opening_connects_to_nothing(self, tmp_path: Path) -> None:
        """`kuma-sd check` opens every source beside a running daemon."""
        if address := self.unreachable():
            source = self._open(address, tmp_path)
            assert not source.status.connected
            source.close()

    def test_a_snapshot_is_sorted_and_has_each_key_once(self, tmp_path: Path) -> None:
        """The pipeline merges the lists of several control planes and looks for what is missing."""
        with self._first(tmp_path) as (_, snapshot):
            keys = [assignment.key for assignment in snapshot.assignments]
            assert keys, "address() must offer at least one target"
            assert keys == sorted(set(keys)), "the assignments must be sorted by key, each key once"
            assert {key.control_plane for key in keys} == {snapshot.control_plane} == {"tested"}, (
                "the context's name is the control plane's, in the snapshot and in every key"
            )

    def test_what_it_hands_out_can_be_read_again(self, tmp_path: Path) -> None:
        """Labels are decoded on demand, and again after a restart."""
        with self._first(tmp_path) as (_, snapshot):
            for assignment in snapshot.assignments:
                assert assignment.read() == assignment.read()
                target, key = assignment.read(), assignment.key
                assert (target.control_plane, target.mesh, target.name) == (key.control_plane, key.mesh, key.name)
                if self.plugin.codec:
                    assert self.plugin.codec(assignment.codec.name) == assignment.codec, (
                        "codec() must return the very same codec"
                    )

    def test_an_unknown_codec_is_a_key_error(self) -> None:
        """An older or newer version may have saved assignments with another codec."""
        if self.plugin.codec:
            with pytest.raises(KeyError):
                self.plugin.codec("no codec has this name")

    def test_its_status_says_that_it_is_connected(self, tmp_path: Path) -> None:
        """Age and max-age count from the loss of contact."""
        with self._first(tmp_path) as (source, snapshot):
            status = source.status
            assert status.last_response, "last_response is when the last answer came, in seconds of time.time()"
            assert status.age(time.monotonic()) == 0, "a source that is connected is in contact"
            assert status.protocol, "protocol says what is spoken"
            assert snapshot.received

    def test_closing_ends_the_iteration_at_once(self, tmp_path: Path) -> None:
        """The daemon must be able to stop within a second, whatever the source waits for."""
        with self._first(tmp_path) as (source, _):
            source.close()
        assert not source.status.connected
        assert source.status.age(time.monotonic()) is not None, "contact is the last moment in contact"

    def test_a_source_that_was_closed_connects_no_more(self, tmp_path: Path) -> None:
        """A stop may come before the first connection."""
        with self.address(tmp_path) as address:
            source = self._open(address, tmp_path)
            source.close()
            with contextlib.suppress(SourceError):
                assert not list(source), "a snapshot came from a source that was closed"

    def test_what_cannot_be_reached_is_a_source_error(self, tmp_path: Path) -> None:
        """Any other exception counts as a bug of the plugin and is logged with its traceback."""
        if address := self.unreachable():
            source = self._open(address, tmp_path)
            with contextlib.closing(source), pytest.raises(SourceError) as caught:
                list(source)
            assert len(str(caught.value).splitlines()) == 1, "a SourceError's message is one line"

    def test_what_it_offers_is_spelt_right(self, tmp_path: Path) -> None:
        """The daemon calls its members by name."""
        with self.address(tmp_path) as address, contextlib.closing(self._open(address, tmp_path)) as source:
            found = list(faults(source, Source, ()))
            assert not found, "; ".join(found)

    def _open(self, address: str, directory: Path) -> Source:
        return self.plugin.open(self.options(directory), context(directory / "state", address=address))

    @contextlib.contextmanager
    def _first(self, directory: Path) -> Iterator[tuple[Source, Snapshot]]:
        """Iterate in a thread, as the daemon does, and yield the first snapshot."""
        with self.address(directory) as address:
            source, arrived = self._open(address, directory), threading.Event()
            snapshots: list[Snapshot] = []

            def iterate() -> None:
                with contextlib.suppress(SourceError):
                    for snapshot in source:
                        snapshots.append(snapshot)
                        arrived.set()

            iterating = threading.Thread(target=iterate, daemon=True)
            iterating.start()
            try:
                assert arrived.wait(LONG), "no snapshot came"
                yield source, snapshots[0]
            finally:
                source.close()
                iterating.join(AT_ONCE)
            assert not iterating.is_alive(), "close() did not end the iteration at once"
