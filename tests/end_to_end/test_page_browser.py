"""The status page in a real browser, of a real daemon."""

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode

import pytest
from browser import browser, console, needs_chromium
from daemon_process import kuma_sd
from processes import Process
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.ui import WebDriverWait
from waiting import PATIENCE, eventually

from kuma_sd.simulator import Dataplane, SimulatedControlPlane, World
from kuma_sd.testing import control_plane

pytestmark = [needs_chromium, pytest.mark.timeout(120)]

EVIL = "\"'><script>document.title='owned'</script><img src=x onerror=\"document.title='owned'\"><svg/onload=alert(1)>"

MARK = "<svg/onload"
"""A part of it that is no label matcher."""

CONFIG = """\
[kuma-sd]
cp-address = {url}
guard-hold = 10m
transform = nodev=relabel
[nodev]
rules = {directory}/rules.yml
[file_sd]
path = {directory}/targets.json
[web]
listen-address = 127.0.0.1:0
enable-lifecycle = true
"""


@pytest.fixture(scope="module")
def chromium() -> Iterator[webdriver.Chrome]:
    with browser() as driver:
        yield driver


@dataclass
class Shown:
    """A daemon, its control plane, and the browser that looks at it."""

    driver: webdriver.Chrome
    kuma: SimulatedControlPlane[World]
    daemon: Process
    url: str

    def open(self, path: str = "", **query: str) -> None:
        """Go to a page."""
        self.driver.get(f"{self.url}{path}{'?' if query else ''}{urlencode(query)}")

    @property
    def text(self) -> str:
        """All that is to be seen."""
        return self.driver.find_element(By.TAG_NAME, "body").text

    def wait(self, condition: Callable[[], object], what: str) -> None:
        """Wait until something is to be seen, while scripts may replace what is looked at."""
        WebDriverWait(self.driver, PATIENCE, 0.05, ignored_exceptions=[Exception]).until(lambda _: condition(), what)


@contextlib.contextmanager
def shown(driver: webdriver.Chrome, directory: Path, *dataplanes: Dataplane | str) -> Iterator[Shown]:
    """Run a daemon; at the end the browser must have complained of nothing."""
    (directory / "rules.yml").write_text("- {source_labels: [env], regex: dev, action: drop}\n")
    with control_plane(*dataplanes) as kuma:
        config = directory / "kuma-sd.conf"
        config.write_text(CONFIG.format(url=kuma.url, directory=directory))
        with kuma_sd("run", "-c", config, KUMA_SD_WEB_LISTEN_ADDRESS="127.0.0.1:0") as daemon:
            port = re.search(r"url=http://127\.0\.0\.1:(\d+)/", daemon.wait_for_line('msg="listening"'))
            assert port
            if dataplanes and not (directory / "targets.json").exists():
                eventually((directory / "targets.json").exists, "targets are published")
            yield Shown(driver, kuma, daemon, f"http://127.0.0.1:{port[1]}/")
            driver.get("about:blank")
            assert console(driver) == []


def test_a_change_arrives_and_the_guard_is_engaged_and_released_without_a_reload(
    chromium: webdriver.Chrome, tmp_path: Path
) -> None:
    with shown(chromium, tmp_path, "a", "b") as page:
        page.open()
        page.driver.execute_script("window.marked = true")
        page.wait(lambda: "All is well" in page.text, "all is well")
        page.kuma.world.add(Dataplane("c"))
        page.wait(lambda: re.search(r"targets in the mesh\s+3\b", page.text), "the third is counted")
        page.kuma.world.remove("a", "b")
        page.wait(lambda: "The guard holds 2 targets" in page.text, "the guard is engaged")
        assert page.driver.execute_script("return window.marked") is True
        page.driver.find_element(By.LINK_TEXT, "Show them").click()
        assert len(page.driver.find_elements(By.CSS_SELECTOR, ".targets tbody tr")) == 2
        page.open()
        page.driver.find_element(By.ID, "accept-").click()
        page.wait(lambda: "All is well" in page.text, "the guard is released")
        assert re.search(r"targets in the mesh\s+1\b", page.text)


def test_a_target_is_found_and_a_dropped_dataplane_is_explained(chromium: webdriver.Chrome, tmp_path: Path) -> None:
    many = [Dataplane(f"web-{number:03}", labels={"env": "prod"}) for number in range(120)]
    with shown(chromium, tmp_path, *many, Dataplane("lost", labels={"env": "dev"})) as page:
        page.open()
        field = page.driver.find_element(By.ID, "find")
        field.send_keys("WEB-117\n")
        page.wait(lambda: "1\N{EN DASH}1 of 1 target found" in page.text, "it is found")
        page.driver.find_element(By.LINK_TEXT, "web-117").click()
        assert page.driver.find_element(By.CSS_SELECTOR, ".verdicts .state").text == "published"
        page.open("targets", q="web")
        page.driver.find_element(By.PARTIAL_LINK_TEXT, "Next").click()
        assert "51\N{EN DASH}100 of 120 targets" in page.text
        page.open("targets", q="lost")
        assert "Not published, but received" in page.text
        page.driver.find_element(By.PARTIAL_LINK_TEXT, "lost").click()
        dropped = page.driver.find_element(By.CSS_SELECTOR, ".steps > .dropped").text
        assert "nodev (relabel)" in dropped
        assert 'source_labels: ["env"], regex: "dev"' in dropped


def test_labels_full_of_markup_run_nothing(chromium: webdriver.Chrome, tmp_path: Path) -> None:
    evil = Dataplane(EVIL, mesh=EVIL, service=EVIL, labels={"evil": EVIL, "env": "prod"})
    with shown(chromium, tmp_path, evil, Dataplane("lost", mesh=EVIL, labels={"env": "dev", "evil": EVIL})) as page:
        page.open()
        page.wait(lambda: EVIL[:20] in page.text, "it is shown")
        for path, query in (("targets", {"q": MARK}), ("targets", {}), ("explain", {"selector": MARK})):
            page.open(path, **query)
            assert "owned" not in page.driver.title
            assert EVIL in page.text
        page.open("targets", q="lost")
        page.driver.find_element(By.PARTIAL_LINK_TEXT, "lost").click()
        assert page.driver.find_elements(By.CSS_SELECTOR, ".steps > .dropped")
        assert "owned" not in page.driver.title


def test_the_page_says_when_the_daemon_is_gone_and_works_without_scripts(
    chromium: webdriver.Chrome, tmp_path: Path
) -> None:
    with shown(chromium, tmp_path, "a") as page:
        page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
        try:
            page.open()
            assert "All is well" in page.text
            page.driver.find_element(By.ID, "find").send_keys("a\n")
            page.wait(lambda: "1\N{EN DASH}1 of 1 target found" in page.text, "it is found")
        finally:
            page.driver.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})
        page.open()
        page.daemon.stop()
        page.wait(lambda: "The daemon does not respond" in page.text, "the loss is told")
        # The browser tells of it, too.
        assert {message["source"] for message in console(page.driver)} == {"network"}
        page.driver.get("about:blank")
