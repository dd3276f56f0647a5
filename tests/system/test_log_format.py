import io
import json
import logging
from pathlib import Path

import pytest

from kuma_sd.core.logger import Logger
from kuma_sd.core.url import parse_url
from kuma_sd.system.log_format import configure, escape, goes_to_journal

log = logging.getLogger("kuma_sd.somewhere")


def logged(message: str, *arguments: object, format_: str = "logfmt") -> str:
    """Log a message and return the line without its time."""
    stream = io.StringIO()
    configure("info", format_, stream)
    log.info(message, *arguments)
    return stream.getvalue()


def test_a_line_says_when_how_bad_where_and_what() -> None:
    time, rest = logged("read %d of %s", 3, "a").split(" ", 1)
    assert rest == 'level=info logger=kuma_sd.somewhere msg="read 3 of a"\n'
    assert len(time) == len("time=2026-01-01T00:00:00.000Z")
    assert time.startswith("time=20")
    assert time.endswith("Z")


def test_a_line_may_be_json() -> None:
    line = json.loads(logged('read "%s"', "ü\n", format_="json"))
    assert line.pop("time").endswith("Z")
    assert line == {"level": "info", "logger": "kuma_sd.somewhere", "msg": 'read "ü\n"'}


def test_facts_are_fields() -> None:
    stream = io.StringIO()
    configure("info", "logfmt", stream)
    Logger("kuma_sd.somewhere").info("connection lost", control_plane="east", reason="no route\nto host", attempts=3)
    assert stream.getvalue().endswith(
        ' msg="connection lost" control_plane=east reason="no route\\nto host" attempts=3\n'
    )


def test_facts_are_members_of_json_with_their_types() -> None:
    stream = io.StringIO()
    configure("info", "json", stream)
    Logger("kuma_sd.somewhere").info("connection lost", level="forged", attempts=3, reason=ValueError("gone"))
    line = json.loads(stream.getvalue())
    assert line.pop("time")
    assert line == {
        "level": "info",
        "logger": "kuma_sd.somewhere",
        "msg": "connection lost",
        "attempts": 3,
        "reason": "gone",
    }


@pytest.mark.parametrize("format_", ["logfmt", "json"])
@pytest.mark.parametrize("what", ["a\nb", "a\r\nb", "\x1b[31m", "\x00", "\x85", "\x9b1m", "\u2028", "\u202e", "\ud800"])
def test_what_comes_from_outside_forges_no_line_and_moves_no_terminal(format_: str, what: str) -> None:
    line = logged("name %s", what, format_=format_)
    assert line.endswith("\n")
    assert line[:-1].isprintable()


def test_quotes_and_letters_stay_readable() -> None:
    assert logged('say "%s"', "größe").endswith(' msg="say \\"größe\\""\n')


@pytest.mark.parametrize("format_", ["logfmt", "json"])
def test_a_traceback_is_in_the_same_line(format_: str) -> None:
    stream = io.StringIO()
    configure("info", format_, stream)
    try:
        _ = 1 / 0
    except ZeroDivisionError:
        log.exception("failed")
    (line,) = stream.getvalue().splitlines()
    assert "traceback" in line
    assert "\\nZeroDivisionError: " in line
    assert "level=error" in line or '"level": "error"' in line


@pytest.mark.parametrize(
    ("level", "expected"),
    [
        ("debug", ["debug", "info", "warn", "error", "error"]),
        ("info", ["info", "warn", "error", "error"]),
        ("warn", ["warn", "error", "error"]),
        ("error", ["error", "error"]),
        ("off", []),
    ],
)
def test_levels_leave_out_what_is_less(level: str, expected: list[str]) -> None:
    stream = io.StringIO()
    configure(level, "json", stream)
    for number in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
        log.log(number, "x")
    logging.getLogger("watchdog.observers").debug("noise")
    assert [json.loads(line)["level"] for line in stream.getvalue().splitlines()] == expected


def test_setting_up_anew_replaces_what_was() -> None:
    first, second = io.StringIO(), io.StringIO()
    configure("info", "logfmt", first)
    configure("debug", "json", second)
    log.debug("x")
    assert first.getvalue() == ""
    assert json.loads(second.getvalue())["msg"] == "x"


def test_lines_go_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    configure()
    log.warning("x")
    assert capsys.readouterr().err.endswith(' msg="x"\n')


@pytest.mark.parametrize("format_", ["logfmt", "json"])
def test_in_the_journal_a_line_has_its_priority_in_front(
    format_: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with (tmp_path / "journal").open("w+") as stream:
        stat = (tmp_path / "journal").stat()
        monkeypatch.setenv("JOURNAL_STREAM", f"{stat.st_dev}:{stat.st_ino}")
        configure("debug", format_, stream)
        for number in (logging.DEBUG, logging.INFO, logging.WARNING, logging.ERROR, logging.CRITICAL):
            log.log(number, "x")
        stream.seek(0)
        lines = stream.read().splitlines()
    assert [line[:3] for line in lines] == ["<7>", "<6>", "<4>", "<3>", "<3>"]
    assert all(line[3:].startswith(("time=", '{"time"')) for line in lines)


def test_what_is_not_the_journal_has_none(tmp_path: Path) -> None:
    # The variable is inherited by children, whose stderr may be something else.
    with (tmp_path / "other").open("w") as stream:
        assert not goes_to_journal(stream, {"JOURNAL_STREAM": "8:1"})
        assert not goes_to_journal(stream, {})
    assert not goes_to_journal(io.StringIO(), {"JOURNAL_STREAM": "8:1"})
    assert not goes_to_journal(stream, {"JOURNAL_STREAM": "8:1"}), "it is closed"


def test_escaping_keeps_what_is_printable() -> None:
    assert escape("a ü \t\x1b") == "a ü \\t\\u001b"


@pytest.mark.parametrize("format_", ["logfmt", "json"])
def test_a_password_in_an_address_is_masked(format_: str) -> None:
    url = parse_url("https://user:s3cr3t@kuma.example/path")
    line = logged("cannot reach %s: %s", url, url.reveal(), format_=format_)
    assert line.count("https://********@kuma.example/path") == 2
    assert "s3cr3t" not in line
