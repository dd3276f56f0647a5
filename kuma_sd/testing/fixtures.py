"""Fixtures for pytest."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from kuma_sd.testing.running import control_plane

if TYPE_CHECKING:
    from kuma_sd.simulator import SimulatedControlPlane, World


@pytest.fixture
def kuma_control_plane() -> "Iterator[SimulatedControlPlane[World]]":
    """Run a simulated control plane with an empty world, to be filled by the test."""
    with control_plane() as running:
        yield running
