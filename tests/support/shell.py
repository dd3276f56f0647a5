"""What a page of the documentation shows, and a shell in which it is done as a reader would."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

END = "-- the command ended --"


class Block(NamedTuple):
    """A fenced block and the line before it."""

    before: str
    language: str
    content: str

    @property
    def file(self) -> str | None:
        """The file that it is the content of, if the line before it names one."""
        named = re.search(r"`([\w./-]+)`:$", self.before)
        return named and named[1] if self.language != "console" else None


class Step(NamedTuple):
    """A command that is shown, and what it is said to print; an ellipsis stands for anything."""

    command: str
    expected: str

    def matches(self, printed: str) -> bool:
        """Tell whether this was printed."""
        if not self.expected:
            return True
        pattern = ".*".join(map(re.escape, self.expected.strip().split("…")))
        return bool(re.fullmatch(pattern, printed.strip(), re.DOTALL))


def blocks(page: str) -> list[Block]:
    """Return the fenced blocks of a page; in lists they are indented."""
    found = re.findall(r"^(.*)\n\n *```(\w+)\n((?:(?! *```).*\n)*) *```$", page, re.MULTILINE)
    return [Block(*item) for item in found]


def steps(block: Block) -> Iterator[Step]:
    """Yield the commands of a block of the language ``console``."""
    for part in re.split(r"^\$ ", block.content, flags=re.MULTILINE)[1:]:
        command, _, expected = part.partition("\n")
        yield Step(command, expected)


def address_in(line: str) -> str:
    """Return the address on loopback that a program says it listens at."""
    found = re.search(r"127\.0\.0\.1:\d+", line)
    assert found, line
    return found[0]


def environment(**more: str) -> dict[str, str]:
    """Return the environment in which a reader of the documentation works: ours, but with no settings in it."""
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("KUMA_", "PYTHON"))}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    return inherited | {"PATH": path, "NO_COLOR": "1"} | more


class Shell:
    """One shell in which commands run one after the other, as a reader types them.

    Args:
        directory: where it begins.
        variables: its environment.
    """

    def __init__(self, directory: Path, variables: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            ["bash"],
            cwd=directory,
            env=variables,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
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
        """Leave the shell, and end what still runs in it."""
        os.killpg(self._process.pid, signal.SIGKILL)
        self._process.communicate()
