import io
import os
import pty

import pytest

from kuma_sd.cli.render.style import Style, style


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")


def on_a_terminal() -> Style:
    ours, theirs = pty.openpty()
    with open(ours, "rb", buffering=0), open(theirs, "w") as stream:  # noqa: PTH123 (descriptors, no paths)
        return style(stream)


def test_a_terminal_gets_colours() -> None:
    shown = on_a_terminal()
    assert shown.coloured
    assert shown.added("a") == "\x1b[32ma\x1b[0m"
    assert len({getattr(shown, name)("a") for name in ("added", "removed", "changed", "dim", "bold")}) == 5
    assert shown.bold("") == ""


def test_a_pipe_gets_none() -> None:
    read, write = os.pipe()
    with open(read), open(write, "w") as stream:  # noqa: PTH123 (likewise)
        assert style(stream).removed("a") == "a"
    assert not style(io.StringIO()).coloured


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_who_wants_no_colours_gets_none(monkeypatch: pytest.MonkeyPatch, variable: str, value: str) -> None:
    monkeypatch.setenv(variable, value)
    assert on_a_terminal().added("a") == "a"
