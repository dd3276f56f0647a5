import dataclasses
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from os_reasons import NO_SUCH_FILE

from kuma_sd.core.option_types import (
    BOOL,
    DURATION,
    DURATION_OR_FOREVER,
    FILE_CONTENT,
    NUMBER,
    PATH,
    PERCENTAGE,
    SECRET,
    SIZE,
    TEXT,
    FileContent,
    choice,
    list_of,
)
from kuma_sd.core.options import REQUIRED, NoOptions, OptionType, check_defaults, option, options_of
from kuma_sd.core.secret import Secret

TYPED = Path(__file__).parents[1] / "data/mypy/options.py"
UNITS = ["ms", "s", "m", "h", "d", "w"]
PIECES = st.builds("{}{}".format, st.decimals(0, 100, places=2), st.sampled_from(UNITS))
TEXTS: dict[str, tuple[OptionType[Any], st.SearchStrategy[str]]] = {
    "number": (NUMBER, st.integers(-(10**17), 10**17).map(str)),
    "percentage": (PERCENTAGE, st.decimals(0, 100, places=4).map(lambda share: f"{share}%")),
    "bool": (BOOL, st.sampled_from(["true", "False", "YES", "no", "on", "Off", "1", "0"])),
    "duration": (DURATION, st.lists(PIECES, min_size=1, max_size=3).map("".join) | st.just("0")),
    "size": (SIZE, st.builds("{}{}".format, st.integers(0, 10**6), st.sampled_from(["", "B", " KiB", "MiB", "GiB"]))),
    "path": (PATH, st.text(st.characters(exclude_characters="\0\n", codec="utf-8"), min_size=1)),
    "text": (TEXT, st.text()),
    "choice": (choice("auto", "v1"), st.sampled_from(["auto", "v1"])),
    "list": (list_of(DURATION), st.lists(PIECES).map("\n ".join)),
}


@pytest.mark.parametrize("name", TEXTS)
@given(data=st.data())
def test_a_value_that_is_shown_is_read_back_as_itself(name: str, data: st.DataObject) -> None:
    type_, texts = TEXTS[name]
    value = type_.parse(data.draw(texts))
    assert type_.parse(type_.show(value)) == value


@pytest.mark.parametrize("name", TEXTS)
@given(text=st.text())
def test_any_text_is_a_value_or_a_value_error(name: str, text: str) -> None:
    try:
        TEXTS[name][0].parse(text)
    except ValueError as error:
        assert str(error).startswith(("is ", "has "))  # noqa: PT017 (most texts raise, some do not)


@pytest.mark.parametrize(
    ("type_", "text", "value", "canonical"),
    [
        (NUMBER, "-12", -12, "-12"),
        (PERCENTAGE, "50%", 0.5, "50%"),
        (PERCENTAGE, "12.5 %", 0.125, "12.5%"),
        (BOOL, "Yes", True, "true"),
        (BOOL, "0", False, "false"),
        (DURATION, "500ms", 0.5, "500ms"),
        (DURATION, "1h30m", 5400.0, "1h30m"),
        (DURATION, "90s", 90.0, "1m30s"),
        (DURATION, "1.5d", 129600.0, "36h"),
        (DURATION, "0", 0.0, "0"),
        (DURATION, "0.2ms", 0.0, "0"),
        (DURATION_OR_FOREVER, "forever", float("inf"), "forever"),
        (SIZE, "1GiB", 2**30, "1GiB"),
        (SIZE, "2048", 2048, "2KiB"),
        (SIZE, "0", 0, "0"),
        (PATH, "/a/b.json", Path("/a/b.json"), "/a/b.json"),
        (TEXT, " %#; ", " %#; ", " %#; "),
        (choice("json", "yaml"), "yaml", "yaml", "yaml"),
        (list_of(TEXT), " a\n  b c ", ("a", "b", "c"), "a b c"),
        (list_of(TEXT), "", (), ""),
        (FILE_CONTENT, "", FileContent(None), ""),
    ],
)
def test_texts_are_read_and_shown(type_: OptionType[Any], text: str, value: Any, canonical: str) -> None:
    assert type_.parse(text) == value
    assert type_.show(value) == canonical


@pytest.mark.parametrize(
    ("type_", "text", "reason"),
    [
        (NUMBER, "1.5", "is not a whole number"),
        (NUMBER, "٣", "is not a whole number"),
        (NUMBER, "9" * 5000, "is not a whole number"),
        (PERCENTAGE, "101%", "is not a percentage from 0% to 100%"),
        (PERCENTAGE, "0.5", "is not a percentage from 0% to 100%"),
        (BOOL, "maybe", "is not true or false"),
        (DURATION, "forever", "is not a duration like 500ms, 30s, 2m or 1h30m"),
        (DURATION, "99999w", "is longer than ten years"),
        (DURATION, "30", "is not a duration like 500ms, 30s, 2m or 1h30m"),
        (DURATION, "-1s", "is not a duration like 500ms, 30s, 2m or 1h30m"),
        (SIZE, "1GB", "is not a size like 64KiB, 16MiB or 1GiB"),
        (PATH, "", "is not a path"),
        (PATH, "a\0b", "is not a path"),
        (FILE_CONTENT, "a\0b", "is not a path"),
        (FILE_CONTENT, "/nowhere/at/all", f"cannot be read: {NO_SUCH_FILE}"),
        (choice("json", "yaml"), "JSON", "is not one of json, yaml"),
        (list_of(DURATION), "1s 2", "has '2', which is not a duration like 500ms, 30s, 2m or 1h30m"),
        (
            list_of(dataclasses.replace(NUMBER, secret=True)),
            "1 s3cr3t",
            "has an item, number 2, that is not a whole number",
        ),
    ],
)
def test_a_wrong_text_gives_a_reason(type_: OptionType[Any], text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=r".+") as raised:
        type_.parse(text)
    assert str(raised.value) == reason


def test_a_secret_shows_itself_nowhere() -> None:
    secret = SECRET.parse("s3cr3t")
    assert secret.reveal() == "s3cr3t"
    assert "s3cr3t" not in f"{secret} {secret!r} {[secret]} {SECRET.show(secret)}"
    assert str(secret) == "********"
    assert str(Secret("")) == ""
    assert secret == Secret("s3cr3t") != Secret("other")


def test_an_edited_file_makes_another_value_which_does_not_show_the_content(tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(b"first")
    before = FILE_CONTENT.parse(str(file))
    file.write_bytes(b"second")
    after = FILE_CONTENT.parse(str(file))
    assert (before.content, after.content) == (b"first", b"second")
    assert before != after
    assert "first" not in repr(before)
    assert FILE_CONTENT.show(before) == str(file)


@dataclass(frozen=True)
class Declared:
    min_interval: float = option(1.0, DURATION, "How often.")
    limit: int | None = option(None, NUMBER, "How many.")


def test_declared_options_are_listed_in_their_order() -> None:
    interval, limit = options_of(Declared)
    assert (interval.name, interval.field, interval.default, interval.help) == (
        *("min-interval", "min_interval"),
        *(1.0, "How often."),
    )
    assert (interval.type, limit.type) == (DURATION, NUMBER)
    assert options_of(NoOptions) == ()


def test_an_option_whose_default_is_none_may_be_empty() -> None:
    interval, limit = options_of(Declared)
    assert limit.parse("") is None
    assert limit.show(None) == ""
    assert limit.parse("3") == 3
    with pytest.raises(ValueError, match="is not a duration"):
        interval.parse("")


@dataclass
class Thawed:
    limit: int = option(3, NUMBER, "How many.")


@dataclass(frozen=True)
class Undeclared:
    limit: int = 3


@pytest.mark.parametrize(
    ("declaration", "message"),
    [
        (dict, "<class 'dict'> is not a frozen dataclass"),
        (Thawed, f"{Thawed!r} is not a frozen dataclass"),
        (Undeclared, "Undeclared.limit is not made with option()"),
    ],
)
def test_what_is_no_declaration_is_refused(declaration: type, message: str) -> None:
    with pytest.raises(TypeError) as raised:
        options_of(declaration)
    assert str(raised.value) == message


@dataclass(frozen=True)
class Bounded:
    interval: float = option(1.0, DURATION, "How often.", at_least=0.1, at_most=60.0)
    limit: int | None = option(None, NUMBER, "How many.", at_least=1)
    name: str = option(REQUIRED, TEXT, "Whose.")


def test_a_value_outside_its_bounds_is_refused_with_the_bound() -> None:
    interval, limit, _ = options_of(Bounded)
    assert (interval.parse("100ms"), interval.parse("1m"), limit.parse("1")) == (0.1, 60.0, 1)
    for option_, text, reason in (
        (interval, "99ms", "is less than 100ms"),
        (interval, "61s", "is more than 1m"),
        (limit, "0", "is less than 1"),
    ):
        with pytest.raises(ValueError, match=f"^{reason}$"):
            option_.parse(text)


def test_help_says_the_bounds_and_what_must_be_set() -> None:
    assert [declared.help for declared in options_of(Bounded)] == [
        "How often. At least 100ms. At most 1m.",
        "How many. At least 1.",
        "Whose. Must be set.",
    ]


def test_an_option_that_must_be_set_has_no_default_and_may_stand_anywhere() -> None:
    name = options_of(Bounded)[2]
    assert (name.default, name.show(name.default)) == (REQUIRED, "")
    assert Bounded(name="east") == Bounded(1.0, None, name="east")
    with pytest.raises(TypeError, match="'name'"):
        Bounded()  # (no mistake for a type checker, to which option() gives the field a default)
    with pytest.raises(ValueError, match="is empty, but must be set"):
        name.parse("")


@pytest.mark.timeout(300)  # mypy reads everything that the file imports
def test_type_checkers_compare_an_option_with_its_field(monkeypatch: pytest.MonkeyPatch) -> None:
    mypy = pytest.importorskip("mypy.api")
    monkeypatch.chdir(TYPED.parents[3])
    said, _, _ = mypy.run(["--no-error-summary", str(TYPED)])
    refused = {int(found[1]) for found in re.finditer(r"(?m)^tests/data/mypy/options.py:(\d+): error", said)}
    marked = {number for number, line in enumerate(TYPED.read_text().splitlines(), 1) if line.endswith("# refused")}
    assert (refused, bool(marked)) == (marked, True), said


# What mypy would refuse.
wrong: Any = option


@pytest.mark.parametrize(
    ("field", "reason"),
    [
        (option(5, NUMBER, "Help.", at_least=10), "the default of Options.field, 5, is less than 10"),
        (wrong("5", NUMBER, "Help."), "the default of Options.field, '5', is of type str, but number needs int"),
        (wrong("x", DURATION, "Help."), "the default of Options.field, 'x', does not fit the type duration: "),
        (wrong(5, int, "Help.", at_least=1), "Options.field has <class 'int'>, which is no OptionType"),
    ],
)
def test_a_default_or_type_that_does_not_fit_names_the_field(field: Any, reason: str) -> None:
    declaration = dataclasses.make_dataclass("Options", [("field", Any, field)], frozen=True)
    with pytest.raises((TypeError, ValueError)) as raised:
        check_defaults(declaration)
    assert str(raised.value).startswith(reason)


def test_defaults_of_several_types_fit() -> None:
    @dataclasses.dataclass(frozen=True)
    class Options:
        wait: float = option(5, DURATION, "Help.")
        path: Path = option(Path("a"), PATH, "Help.")
        unset: str | None = option(None, TEXT, "Help.")

    check_defaults(Options)
