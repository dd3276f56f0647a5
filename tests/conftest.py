"""What holds for all tests."""

import logging
from collections.abc import Iterator

import pytest
from hypothesis import settings

# How long an example takes says more about the machine than about us.
settings.register_profile("kuma-sd", deadline=None)
settings.load_profile("kuma-sd")


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    """Take back what commands do to logging, so that no test depends on another."""
    root, watchdog = logging.getLogger(), logging.getLogger("watchdog")
    handlers, levels = root.handlers[:], (root.level, watchdog.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    watchdog.setLevel(levels[1])
