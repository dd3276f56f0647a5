import os
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from os_reasons import IS_A_DIRECTORY, NO_SUCH_FILE

from kuma_sd.core.errors import ConfigError
from kuma_sd.settings.config_file import parse_config, read_config_file, write_entry


def values_of(text: str) -> dict[str, str]:
    """Read options of one section."""
    return {entry.key: entry.value for entry in parse_config(f"[kuma-sd]\n{text}", "x.conf").entries}


def test_every_section_and_line_is_remembered() -> None:
    file = parse_config("# head\n\n[kuma-sd]\noutput = a\n\n[a]\n; note\npath=/x\nmode =  1 \n", "x.conf")
    assert file.sections == {"kuma-sd": 3, "a": 6}
    assert [(entry.section, entry.key, entry.value, entry.line) for entry in file.entries] == [
        ("kuma-sd", "output", "a", 4),
        ("a", "path", "/x", 8),
        ("a", "mode", "1", 9),
    ]


@pytest.mark.parametrize(
    "value", ["100% of it", "%(home)s", "a#b", "a ; b", "a = b", "[a-z]+", "'quoted'", "${x}", "a:b", "ü"]
)
def test_a_value_is_plain_whatever_stands_in_it(value: str) -> None:
    assert values_of(f"key = {value}") == {"key": value}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("key =", ""),
        ("key = a\n  b\n  c", "a\nb\nc"),
        ("key =\n  a\n  b", "a\nb"),
        ("key =\n    - if: x\n      then: y\n", "- if: x\n  then: y"),
        ("key =\n\t- a\n\t  b\n", "- a\n  b"),
        ("key =\n  a\n\n  b\n\n\nother = x", "a\n\nb"),
        ("key =\n  a\n# note\n  # note\n  ; note\n  b", "a\nb"),
        ("key = a\r\n  b\r\n", "a\nb"),
        ("key = a\u2028b\x0cc", "a\u2028b\x0cc"),
        ("key =\n  other = x\n  [section]", "other = x\n[section]"),
    ],
)
def test_continuation_lines_keep_their_relative_indentation(text: str, value: str) -> None:
    assert values_of(text)["key"] == value


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("path = s3cr3t", "x.conf:1: 'path' stands before any section; write [kuma-sd] above it"),
        ("\n  path = s3cr3t", "x.conf:2: this line is indented but continues no option"),
        ("[a]\n  s3cr3t", "x.conf:2: this line is indented but continues no option"),
        ("[a\n", "x.conf:1: a section is written [name], on a line without anything else"),
        ("[]\n", "x.conf:1: a section is written [name], on a line without anything else"),
        ("[a] # note\n", "x.conf:1: a section is written [name], on a line without anything else"),
        ("[[a]]\n", "x.conf:1: a section is written [name], on a line without anything else"),
        ("[a]\n\n[a]\n", "x.conf:3: section [a] stands in line 1 already"),
        ("[a]\nx = 1\n[b]\nx = 2\n[a]\n", "x.conf:5: section [a] stands in line 1 already"),
        ("[a]\npath = 1\n\npath = s3cr3t", "x.conf:4: 'path' in [a] is set in line 2 already"),
        ("[a]\npath s3cr3t", "x.conf:2: this line is no 'key = value', no [section] and no comment"),
        ("[a]\ntoken: s3cr3t=", "x.conf:2: this line is no 'key = value', no [section] and no comment"),
        ("[a]\n= s3cr3t", "x.conf:2: this line is no 'key = value', no [section] and no comment"),
    ],
)
def test_a_wrong_line_is_named_and_not_shown(text: str, message: str) -> None:
    assert parse_config(text, "x.conf").mistakes == (message,)


def test_all_wrong_lines_are_named_and_the_others_are_read() -> None:
    file = parse_config("x = 1\n[a]\nb\n  more of it\npath = /x\n[b", "x.conf")
    assert [mistake.split(": ")[0] for mistake in file.mistakes] == ["x.conf:1", "x.conf:3", "x.conf:6"]
    assert [(entry.section, entry.key, entry.value) for entry in file.entries] == [("a", "path", "/x")]


@pytest.mark.parametrize(
    "text",
    ["kuma-sd:\n  cp-address: grpc://a\n", "# note\n---\na: b", "- a\n- b", '{"kuma-sd": {}}', '[{"a": 1}]', "a:\n"],
)
def test_yaml_and_json_are_told_from_an_ini_file(text: str) -> None:
    (mistake,) = parse_config(text, "x.conf").mistakes
    assert "settings are an INI file" in mistake


def test_an_entry_does_not_show_its_value() -> None:
    assert "s3cr3t" not in repr(parse_config("[a]\ntoken = s3cr3t", "x.conf"))


def test_a_byte_order_mark_is_no_part_of_the_first_line(tmp_path: Path) -> None:
    file = tmp_path / "x.conf"
    file.write_bytes(b"\xef\xbb\xbf[kuma-sd]\r\noutput = a\r\n")
    assert read_config_file(str(file)).sections == {"kuma-sd": 1}


def test_a_file_that_is_not_utf_8_is_refused_with_the_line(tmp_path: Path) -> None:
    file = tmp_path / "x.conf"
    file.write_bytes(b"[a]\nname = M\xfcnchen\n")
    with pytest.raises(ConfigError) as raised:
        read_config_file(str(file))
    assert str(raised.value) == f"{file}:2: is not UTF-8 text"


@pytest.mark.parametrize(("name", "reason"), [("none.conf", NO_SUCH_FILE), (".", IS_A_DIRECTORY)])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(ConfigError) as raised:
        read_config_file(str(tmp_path / name))
    assert str(raised.value) == f"cannot read the settings file {tmp_path / name}: {reason}"


def test_a_pipe_in_which_nothing_is_is_no_empty_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kuma_sd.settings.config_file.PIPE_SECONDS", 0.05)
    os.mkfifo(tmp_path / "x.conf")
    with pytest.raises(ConfigError, match=r"cannot read the settings file .*: Nothing is in this pipe"):
        read_config_file(str(tmp_path / "x.conf"))


def test_a_pipe_is_read_to_its_end() -> None:
    reading, writing = os.pipe()
    os.write(writing, b"[kuma-sd]\nname = ")

    def finish() -> None:
        os.write(writing, b"x")
        os.close(writing)

    writer = threading.Timer(0.05, finish)
    writer.start()
    assert read_config_file(f"/proc/self/fd/{reading}").entries[0].value == "x"
    os.close(reading)
    writer.join()


LINES = st.text(st.characters(exclude_categories=["Z", "C"]), min_size=1).filter(lambda line: line[0] not in "#;")


@given(st.lists(LINES, max_size=4))
def test_what_is_written_is_read_back(lines: list[str]) -> None:
    value = "\n".join(lines)
    assert values_of(f"{write_entry('key', value)}\nother = 1") == {"key": value, "other": "1"}


@given(st.text())
def test_any_text_is_a_file_whose_mistakes_have_a_place(text: str) -> None:
    assert all(mistake.startswith("x.conf:") for mistake in parse_config(text, "x.conf").mistakes)
