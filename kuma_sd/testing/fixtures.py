"""Fixtures for pytest."""

import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kuma_sd.testing.daemon import RunningDaemon, daemon
from kuma_sd.testing.running import control_plane

if TYPE_CHECKING:
    from kuma_sd.simulator import SimulatedControlPlane, World


@pytest.fixture
def kuma_control_plane() -> "Iterator[SimulatedControlPlane[World]]":
    """Run a simulated control plane with an empty world, to be filled by the test."""
    with control_plane() as running:
        yield running


@pytest.fixture
def kuma_sd_daemon(
    kuma_control_plane: "SimulatedControlPlane[World]", tmp_path: Path
) -> Iterator[Callable[..., RunningDaemon]]:
    """Return a function that runs the daemon with some flags until the test ends. It follows `kuma_control_plane`."""
    numbers = itertools.count(1)
    with contextlib.ExitStack() as stack:

        def run(*flags: str) -> RunningDaemon:
            directory = tmp_path / f"daemon-{next(numbers)}"
            directory.mkdir()
            return stack.enter_context(daemon(directory, f"--cp-address={kuma_control_plane.url}", *flags))

        yield run
