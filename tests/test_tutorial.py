"""The tutorial is true: its files are those of the example plugin, and its commands do what it says."""

import contextlib
import os
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest
from processes import Process

ROOT = Path(__file__).parents[1]
EXAMPLE = ROOT / "plugins/kuma-sd-example"

TUTORIAL = (ROOT / "docs/plugins/tutorial.md").read_text()

# It fetches what pip installs from the package index.
pytestmark = pytest.mark.timeout(400)


class Block(NamedTuple):
    before: str
    language: str
    content: str

    @property
    def file(self) -> str | None:
        """The file that it is the content of: the line before names nothing but it, or says what for."""
        named = re.search(r"`([\w./-]+)`:$", self.before)
        return named and named[1] if self.language != "console" else None


BLOCKS = [Block(*found) for found in re.findall(r"^(.*)\n\n```(\w+)\n((?:(?!```).*\n)*)```$", TUTORIAL, re.MULTILINE)]
FILES = {block.file: block.content for block in BLOCKS if block.file}


class Step(NamedTuple):
    command: str
    expected: str


def steps(content: str) -> Iterator[Step]:
    for part in re.split(r"^\$ ", content, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        yield Step(command, expected)


def matches(expected: str, printed: str) -> bool:
    """Tell whether this was printed; an ellipsis stands for anything."""
    if not expected:
        return True
    pattern = ".*".join(map(re.escape, expected.strip().split("…")))
    return bool(re.fullmatch(pattern, printed.strip(), re.DOTALL))


END = "-- the command ended --"


class Shell:
    """One shell in which commands run one after the other, as a reader types them."""

    def __init__(self, directory: Path, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            ["bash"],
            cwd=directory,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, command: str) -> str:
        """Run a command and return what it printed."""
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin
        assert stdout
        stdin.write(f"{{ {command}; }} </dev/null\necho; echo {END}\n")
        stdin.flush()
        return "".join(iter(stdout.readline, f"{END}\n"))

    def close(self) -> None:
        """Leave the shell."""
        self._process.communicate()


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
def environment(tmp_path: Path, index: Index) -> dict[str, str]:
    """Return what makes pip find this kuma-sd, and twine an index on loopback."""
    wheels = tmp_path / "wheels"
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(wheels), str(ROOT)]
    subprocess.run(build, check=True, capture_output=True)
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("KUMA_", "PYTHON"))}
    return inherited | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PIP_FIND_LINKS": str(wheels),
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
        "TWINE_REPOSITORY_URL": f"http://127.0.0.1:{index.server_port}/",
        "TWINE_USERNAME": "me",
        "TWINE_PASSWORD": "mine",
        "TWINE_NON_INTERACTIVE": "1",
        "NO_COLOR": "1",
    }


def test_the_example_plugin_is_what_the_tutorial_makes_word_for_word() -> None:
    theirs = {
        str(path.relative_to(EXAMPLE)): path.read_text()
        for path in EXAMPLE.rglob("*.*")
        if path.is_file() and not {"__pycache__", ".pytest_cache", "kuma_sd_example.egg-info"} & set(path.parts)
    }
    # Two that have no text of their own in it.
    del theirs["README.md"], theirs["kuma_sd_example/py.typed"]
    assert theirs == FILES


def test_its_commands_do_what_it_says(tmp_path: Path, environment: dict[str, str], index: Index) -> None:
    folder, address = tmp_path / "kuma-sd-example", "127.0.0.1:5676"
    with contextlib.closing(Shell(tmp_path, environment)) as shell, contextlib.ExitStack() as beside:
        for block in BLOCKS:
            if block.file:
                (folder / block.file).write_text(block.content)
            elif "In another terminal" in block.before:
                (step,) = steps(block.content)
                program, *arguments = step.command.replace(address, "127.0.0.1:0").split()
                simulator = Process(folder / program, *arguments)
                beside.callback(simulator.kill)
                port = re.search(r"127\.0\.0\.1:(\d+)", simulator.wait_for_line("127.0.0.1:"))
                assert port
            elif block.language == "console":
                for command, expected in steps(block.content):
                    typed = command.replace(address, port[0]) if address in command and port else command
                    printed = shell.run(typed)
                    assert matches(expected, printed), f"$ {typed}\n{printed}"
    assert len(index.uploaded) == len(list((folder / "dist").iterdir())) == 2
