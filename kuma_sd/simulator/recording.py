"""Serve recorded traffic of a real control plane."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from google.protobuf.message import DecodeError

from kuma_sd.core.decoding_errors import UNREADABLE
from kuma_sd.core.errors import ConfigError
from kuma_sd.simulator.content import Content, F
from kuma_sd.simulator.encoders import Encoder

RESTART = "cp-restart-begin"
"""The mark in a recording at which the control plane was killed."""


class RecordedStep(NamedTuple):
    """A state that the recorded control plane reached.

    Args:
        name: its name in the recording.
        responses: the last recorded response before it, by transport.
        restarted: whether the control plane was restarted since the step before, which ended all streams.
    """

    name: str
    responses: Mapping[str, bytes]
    restarted: bool


class Recording(Content):
    """The steps of a recording, one at a time, from the first to the last.

    Each resource is served byte by byte as recorded; version ids, nonces and order are the simulator's own.

    Args:
        folder: holds events.jsonl and the recorded responses that it names.

    Raises:
        ConfigError: the folder is not a recording.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__()
        try:
            self.steps = tuple(_steps(folder))
            self._catalog = _catalog(folder / "catalog.json")
        except (OSError, ValueError, KeyError, AttributeError) as error:
            raise ConfigError(f"{str(folder)!r} is not a folder with recorded traffic: {error}") from error
        if not self.steps:
            raise ConfigError(f"the recording in {str(folder)!r} has no steps")
        self._folder = folder
        self._position = 0

    @property
    def step(self) -> RecordedStep:
        """The current step."""
        return self.steps[self._position]

    @property
    def upcoming(self) -> RecordedStep | None:
        """The next step; None at the last one."""
        return next(iter(self.steps[self._position + 1 :]), None)

    def advance(self) -> RecordedStep:
        """Go to the next step; after the last one nothing changes."""
        if self.upcoming:
            self._position += 1
            self._tell()
        return self.step

    @property
    def catalog(self) -> Mapping[str, Any] | None:
        """The recorded catalog of the API server; None when it had none."""
        return self._catalog

    def offered(self, formats: Mapping[str, F]) -> Mapping[str, F]:
        """Return the protocols that were recorded.

        Raises:
            ConfigError: none of them was, or something that was recorded cannot be read.
        """
        offered = {}
        for transport, format_ in formats.items():
            if any(transport in step.responses for step in self.steps):
                self.renderer(format_)
                offered[transport] = format_
        if not offered:
            raise ConfigError(f"the recording in {str(self._folder)!r} holds nothing over {' or '.join(formats)}")
        return offered

    def renderer(self, format_: Encoder) -> Callable[[], list[bytes]]:
        """Return a function that encodes the resources of the present step.

        Raises:
            ConfigError: a response cannot be read.
        """
        try:
            rendered = [format_.recorded(step.responses.get(format_.transport, b"")) for step in self.steps]
        except (DecodeError, *UNREADABLE) as error:
            raise ConfigError(
                f"the recording in {str(self._folder)!r} has a response over {format_.transport} that is damaged"
            ) from error
        return lambda: rendered[self._position]


def _catalog(path: Path) -> dict[str, Any] | None:
    if not path.exists():
        return None
    catalog: dict[str, Any] = json.loads(path.read_bytes())
    catalog["apis"].keys()  # else it is none, and said to be so
    return catalog


def _steps(folder: Path) -> Iterator[RecordedStep]:
    """Yield the marks in a recording before which something was answered."""
    responses: dict[str, bytes] = {}
    restarted = fresh = False
    for event in _events(folder / "events.jsonl"):
        if event.get("step") == RESTART:
            restarted = True
        elif "step" in event and fresh:
            yield RecordedStep(event["step"], dict(responses), restarted)
            restarted = fresh = False
        elif event.get("dir") == "response" and event["file"]:
            responses[event["kind"]] = (folder / event["file"]).read_bytes()
            fresh = True


def _events(path: Path) -> Iterator[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield json.loads(line)
