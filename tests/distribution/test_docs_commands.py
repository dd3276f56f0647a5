"""What the documentation shows is done: its settings load, its commands run, its Prometheus files are taken."""

import contextlib
import importlib
import re
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest
from processes import Process
from shell import Block, Shell, address_in, blocks, environment, steps

from kuma_sd.cli import main as cli
from kuma_sd.plugin.manager import Plugins
from kuma_sd.settings.loader import load

ROOT = Path(__file__).parents[2]
# The tutorial has a test of its own; blocks of the plugins' pages are run by test_docs.py.
MADS, KUMA, WEB = "127.0.0.1:5676", "kuma-control-plane.internal:5676", "127.0.0.1:9119"

PAGES = [ROOT / "README.md", *sorted(ROOT.glob("docs/*.md"))]


class Shown(NamedTuple):
    page: Path
    block: Block

    def __str__(self) -> str:
        return f"{self.page.name}: {self.block.content.splitlines()[0]}"


def shown(language: str) -> list[Shown]:
    return [Shown(page, block) for page in PAGES for block in blocks(page.read_text()) if block.language == language]


def here(text: str, directory: Path) -> str:
    """Return a text with files of the machine in a directory of ours, since tests write nowhere else."""
    return re.sub(r"(?<![\w.])/(?:etc|run|var|srv|tmp)/", lambda found: f"{directory}{found[0]}", text)


def mentioned(directory: Path) -> None:
    """Make the files that pages mention."""
    for name in ("etc/kuma-sd.conf", "new.conf", "tmp/new.conf"):
        (directory / name).parent.mkdir(exist_ok=True)
        shutil.copyfile(ROOT / "etc/kuma-sd.conf", directory / name)
    for name in ("etc/kuma-sd/nat.yml", "nat.yml"):
        (directory / name).parent.mkdir(exist_ok=True)
        (directory / name).write_text("- action: labeldrop\n  regex: test\n")


def dedented(text: str) -> str:
    indent = len(text) - len(text.lstrip(" "))
    return re.sub(rf"^ {{{indent}}}", "", text, flags=re.MULTILINE)


@pytest.mark.parametrize("one", [block for block in shown("ini") if "[metadata]" not in block.block.content], ids=str)
def test_settings_that_are_shown_load(one: Shown, tmp_path: Path) -> None:
    mentioned(tmp_path)
    text = here(dedented(one.block.content), tmp_path)
    if not text.startswith("["):
        text = f"[kuma-sd]\n{text}"
    if "cp-address" not in text:
        text = text.replace("[kuma-sd]\n", "[kuma-sd]\ncp-address = grpc://127.0.0.1:1\n", 1)
    (tmp_path / "kuma-sd.conf").write_text(text)
    load(["-c", str(tmp_path / "kuma-sd.conf")], {"SITE": "east"}, Plugins())


@pytest.mark.parametrize("one", [block for block in shown("yaml") if "scrape_configs" in block.block.content], ids=str)
def test_prometheus_takes_what_is_shown_for_it(one: Shown, tmp_path: Path) -> None:
    (tmp_path / "prometheus.yml").write_text(dedented(one.block.content))
    command = ["promtool", "check", "config", "--syntax-only", str(tmp_path / "prometheus.yml")]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr


def commands() -> Iterator[tuple[str, str]]:
    for block in shown("sh"):
        joined = dedented(block.block.content).replace("\\\n", " ")
        for line in joined.splitlines():
            command = line.rpartition("| ")[2].partition(" >")[0]
            # The relay is a distribution of its own, whose tests run its commands.
            if command.startswith(("kuma-sd ", "kuma-prometheus-sd ")) and "redis" not in command:
                yield block.page.name, command


@pytest.mark.parametrize(("page", "command"), list(commands()))
def test_commands_that_are_shown_are_understood(
    page: str, command: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    del page
    monkeypatch.setattr("kuma_sd.system.log_format.configure", lambda *_arguments: None)
    mentioned(tmp_path)
    monkeypatch.chdir(tmp_path)
    program, *words = shlex.split(here(command, tmp_path), comments=True)
    name = next(word for word in words if not word.startswith("-"))
    executed: list[object] = []

    def execute(arguments: object, _settings: object) -> int:
        executed.append(arguments)
        return 0

    module = importlib.import_module(f"kuma_sd.cli.commands.{name.replace('-', '_')}")
    monkeypatch.setattr(module, "execute", execute)
    status = (cli.main if program == "kuma-sd" else cli.main_like_go)(words)
    assert (status, len(executed)) == (0, 1), command


class Reader:
    """Types what a page says, with a simulated control plane and files in a directory of its own."""

    def __init__(self, directory: Path, beside: contextlib.ExitStack) -> None:
        self._directory = directory
        self._beside = beside
        # A daemon says where it listens; what the page says instead is known.
        self._variables = {
            "KUMA_SD_CONTROL_SOCKET": str(directory / "control.sock"),
            "KUMA_SD_WEB_LISTEN_ADDRESS": "127.0.0.1:0",
        }
        self._addresses: dict[str, str] = {}
        self._shell = beside.enter_context(contextlib.closing(Shell(directory, environment(**self._variables))))

    def read(self, block: Block) -> None:
        """Do what a block says."""
        if block.file and block.language != "sh":
            (self._directory / self._typed(block.file)).write_text(self._typed(dedented(block.content)))
        elif block.language == "console" and "terminal" in block.before:
            for step in steps(block):
                self._start(step.command)
        elif block.language == "console":
            for step in steps(block):
                printed = self._shell.run(self._typed(step.command))
                expected = step._replace(expected=self._typed(step.expected))
                assert expected.matches(printed), f"$ {step.command}\n{printed}"

    def _typed(self, text: str) -> str:
        for said, listening in self._addresses.items():
            text = text.replace(said, listening)
        return here(text, self._directory)

    def _start(self, command: str) -> None:
        simulates = " simulate " in command
        words = shlex.split(command.replace(MADS, "127.0.0.1:0") if simulates else self._typed(command))
        process = Process("env", "-C", self._directory, *words, **environment(**self._variables))
        self._beside.callback(process.kill)
        if simulates:
            self._addresses[MADS] = self._addresses[KUMA] = address_in(process.wait_for_line("listening at"))
        else:
            self._addresses[WEB] = address_in(process.wait_for_line('msg="listening"'))
            process.wait_for_line("published")


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    "page", [page for page in PAGES if "```console" in page.read_text()], ids=lambda page: page.stem
)
def test_commands_do_what_the_page_says(page: Path, tmp_path: Path) -> None:
    with contextlib.ExitStack() as beside:
        reader = Reader(tmp_path, beside)
        for block in blocks(page.read_text()):
            reader.read(block)
