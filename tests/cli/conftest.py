import logging
from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True)
def _logging_as_it_was() -> Iterator[None]:
    root, watchdog = logging.getLogger(), logging.getLogger("watchdog")
    handlers, levels = root.handlers[:], (root.level, watchdog.level)
    yield
    root.handlers[:] = handlers
    root.setLevel(levels[0])
    watchdog.setLevel(levels[1])


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the settings of whoever runs the tests out of them."""
    for name in ("KUMA_SD_CONFIG", "KUMA_SD_CP_ADDRESS", "KUMA_SD_OUTPUT", "KUMA_SD_LOG_LEVEL"):
        monkeypatch.delenv(name, raising=False)
