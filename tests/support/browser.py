"""Debian's Chromium without a window, driven over WebDriver; it gets to this machine only."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service

CHROMIUM, DRIVER = shutil.which("chromium"), shutil.which("chromedriver")

needs_chromium = pytest.mark.skipif(
    not (CHROMIUM and DRIVER) and not os.environ.get("CI"), reason="needs Debian's packages chromium, chromium-driver"
)

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    # Nothing but this machine has a name.
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1",
)


@contextlib.contextmanager
def browser(*flags: str) -> Iterator[webdriver.Chrome]:
    """Run a browser with a profile of its own, until the block ends.

    Args:
        *flags: more flags for Chromium.
    """
    assert CHROMIUM, "continuous integration has Debian's package chromium"
    assert DRIVER, "continuous integration has Debian's package chromium-driver"
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        options = Options()
        options.binary_location = CHROMIUM
        for flag in (*_FLAGS, f"--user-data-dir={profile}", *flags):
            options.add_argument(flag)
        options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
        # With the driver named, selenium looks for none; this keeps it from asking its makers, too.
        os.environ["SE_OFFLINE"] = "true"
        driver = webdriver.Chrome(options, Service(DRIVER, log_output=str(Path(profile) / "driver.log")))
        driver.set_page_load_timeout(20)
        try:
            yield driver
        finally:
            driver.quit()


def console(driver: webdriver.Chrome) -> list[dict[str, Any]]:
    """Return what the browser complained of since the last time: scripts, refusals by the CSP, failed loads."""
    entries: list[dict[str, Any]] = driver.get_log("browser")  # type: ignore[no-untyped-call] # (selenium's)
    return [entry for entry in entries if entry["level"] in ("SEVERE", "WARNING")]
