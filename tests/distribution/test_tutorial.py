"""The tutorial is true: its files are those of the example plugin, and its commands do what it says."""

import contextlib
import os
import re
import subprocess
import tarfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from processes import Process
from shell import Shell, address_in, blocks, environment, steps

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "plugins/kuma-sd-example"

TUTORIAL = (ROOT / "docs/plugins/tutorial.md").read_text()

# It fetches what pip installs from the package index.
pytestmark = pytest.mark.timeout(400)


BLOCKS = blocks(TUTORIAL)
FILES = {block.file: block.content for block in BLOCKS if block.file}


class Index(ThreadingHTTPServer):
    """A package index that keeps what is uploaded."""

    def __init__(self) -> None:
        self.uploaded: list[bytes] = []
        super().__init__(("127.0.0.1", 0), Upload)


class Upload(BaseHTTPRequestHandler):
    server: Index

    def do_POST(self) -> None:
        self.server.uploaded.append(self.rfile.read(int(self.headers["Content-Length"])))
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_arguments: object) -> None: ...


@pytest.fixture
def index() -> Iterator[Index]:
    with Index() as server:
        serving = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        serving.start()
        yield server
        server.shutdown()
        serving.join()


@pytest.fixture
def variables(tmp_path: Path, index: Index) -> dict[str, str]:
    """Return what makes pip find this kuma-sd, and twine an index on loopback."""
    wheels = tmp_path / "wheels"
    subprocess.run([ROOT / "script/build", wheels], check=True, capture_output=True)
    # What stands for the reader's clone.
    (sdist,) = wheels.glob("*.tar.gz")
    with tarfile.open(sdist) as tar:
        tar.extractall(tmp_path, filter="data")
    next(tmp_path.glob("kuma_sd-*")).rename(tmp_path / "kuma-sd")
    constraints = tmp_path / "constraints.txt"
    constraints.write_text("\n".join(locked()))
    return environment(
        PIP_CONSTRAINT=str(constraints),
        PIP_BUILD_CONSTRAINT=str(constraints),
        PIP_FIND_LINKS=str(wheels),
        PIP_DISABLE_PIP_VERSION_CHECK="1",
        TWINE_REPOSITORY_URL=f"http://127.0.0.1:{index.server_port}/",
        TWINE_USERNAME="me",
        TWINE_PASSWORD="mine",  # noqa: S106 (of an index that takes any)
        TWINE_NON_INTERACTIVE="1",
    )


def locked() -> set[str]:
    """Return the versions that are locked, without hashes: what is built here has none."""
    if os.environ.get("VERSIONS", "locked") != "locked":
        return set()
    texts = [(ROOT / f"requirements/{name}.txt").read_text() for name in ("test", "release")]
    texts += re.findall(r"^setuptools==.*", (ROOT / "requirements/build.txt").read_text(), flags=re.MULTILINE)
    return {line.removesuffix("\\").strip() for text in texts for line in text.splitlines() if "==" in line}


def test_the_example_plugin_is_what_the_tutorial_makes_word_for_word() -> None:
    theirs = {
        str(path.relative_to(EXAMPLE)): path.read_text()
        for path in EXAMPLE.rglob("*.*")
        if path.is_file() and not {"__pycache__", ".pytest_cache", "kuma_sd_example.egg-info"} & set(path.parts)
    }
    # Two that have no text of their own in it.
    del theirs["README.md"], theirs["kuma_sd_example/py.typed"]
    assert theirs == FILES


def test_its_commands_do_what_it_says(tmp_path: Path, variables: dict[str, str], index: Index) -> None:
    folder, address, listening = tmp_path / "kuma-sd-example", "127.0.0.1:5676", ""
    with contextlib.closing(Shell(tmp_path, variables)) as shell, contextlib.ExitStack() as beside:
        for block in BLOCKS:
            if block.file:
                (folder / block.file).write_text(block.content)
            elif "In another terminal" in block.before:
                (step,) = steps(block)
                program, *arguments = step.command.replace(address, "127.0.0.1:0").split()
                simulator = Process(folder / program, *arguments)
                beside.callback(simulator.kill)
                listening = address_in(simulator.wait_for_line("127.0.0.1:"))
            elif block.language == "console":
                for step in steps(block):
                    typed = step.command.replace(address, listening) if listening else step.command
                    printed = shell.run(typed)
                    assert step.matches(printed), f"$ {typed}\n{printed}"
    assert len(index.uploaded) == len(list((folder / "dist").iterdir())) == 2
