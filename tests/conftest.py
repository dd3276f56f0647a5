"""What holds for all tests."""

import logging
from collections.abc import Iterator

import pytest
from hypothesis import settings

from kuma_sd.simulator import SimulatedControlPlane, World
from kuma_sd.system.threads import Threads
from kuma_sd.testing import control_plane

# How long an example takes says more about the machine than about us.
settings.register_profile("kuma-sd", deadline=None)
settings.load_profile("kuma-sd")


# What waits longest, so that nothing of it is left to wait for at the end, when tests run side by side.
SLOWEST = ("distribution", "end_to_end", "cli")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the folders whose tests wait longest."""
    items.sort(key=lambda item: not any(folder in item.path.parts for folder in SLOWEST))


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Take back what commands do to logging, so that no test depends on another."""
    root, watchdog = logging.getLogger(), logging.getLogger("watchdog")
    handlers, levels = root.handlers[:], (root.level, watchdog.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    watchdog.setLevel(levels[1])


@pytest.fixture
def threads() -> Iterator[Threads]:
    """Run threads of a test; each must end in time and without an error."""
    running = Threads()
    yield running
    assert running.stop(timeout=5) == []
    assert running.failure is None


@pytest.fixture
def kuma() -> Iterator[SimulatedControlPlane[World]]:
    """Run a simulated control plane with the dataplanes ``a`` and ``b``."""
    with control_plane("a", "b") as running:
        yield running
