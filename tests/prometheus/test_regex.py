import subprocess
import sys
import time

import pytest
import re2
from hypothesis import assume, given
from hypothesis import strategies as st

from kuma_sd.prometheus.regex import Pattern, parse_pattern


def shape(regex: str) -> str:
    return type(parse_pattern(regex)).__name__


@pytest.mark.parametrize(
    ("regex", "expected"),
    [
        ("", "_Words"),
        ("prod", "_Words"),
        ("(prod|stage|)", "_Words"),
        ("^prod$", "_Words"),
        (r"10\.0\.0\.1\|x|y", "_Words"),
        ("(.*)", "_Around"),
        (".+", "_Around"),
        (r"kuma_(.+)\.local", "_Around"),
        (r"([^:]+)(?::\d+)?", "_Sequence"),
        (r"(.+):(\d+)", "_Sequence"),
        (r"v?(\d{1,3})\.[\w.-]*", "_Sequence"),
        ("prod|dev.*", "_RE2"),
        ("(a+)+", "_RE2"),
        ("(?i)prod", "_RE2"),
        (r"\s+", "_RE2"),
        ("(?P<name>a)", "_RE2"),
        ("x{,2}", "_RE2"),
        ("x{01}", "_RE2"),
    ],
)
def test_only_what_has_no_simple_shape_is_for_re2(regex: str, expected: str) -> None:
    assert shape(regex) == expected


@pytest.mark.parametrize(
    ("regex", "text", "found"),
    [
        ("prod|stage", "stage", ["stage"]),
        ("prod|stage", "production", None),
        ("(a|b)", "b", ["b", "b"]),
        ("a|", "", [""]),
        (r"a\|b", "a|b", ["a|b"]),
        ("(.*)", "two\nlines\n", ["two\nlines\n"] * 2),
        (".+", "", None),
        ("a(.*)a", "a", None),
        ("a(.*)a", "aa", ["aa", ""]),
        ("foo", "foo\n", None),
        ("foo.bar", "foo\nbar", ["foo\nbar"]),
        ("(?-s).*", "foo\nbar", None),
        (r"\d+", "١٢", None),
        (r"\w+", "é", None),
        ("(?i)k", "\u212a", ["\u212a"]),
        ("(.+):(.*)", "a:b:c", ["a:b:c", "a:b", "c"]),
        ("(.+?):(.*)", "a:b:c", ["a:b:c", "a", "b:c"]),
        ("(a)|(b)", "b", ["b", "", "b"]),
        ("(?P<svc>[a-z]+)-(?P<n>[0-9]+)", "web-01", ["web-01", "web", "01"]),
        (r"(\pL+)-(.)", "日本-語", ["日本-語", "日本", "語"]),
    ],
)
def test_it_matches_the_whole_text_as_prometheus_does(regex: str, text: str, found: list[str] | None) -> None:
    pattern = parse_pattern(regex)
    groups = pattern.find(text)
    assert (groups and list(groups)) == found
    assert pattern.matches(text) == (found is not None)


def test_groups_and_their_names_are_known() -> None:
    pattern = parse_pattern("(?P<svc>a)(?<n>b)(c)")
    assert (pattern.groups, pattern.names) == (3, {"svc": 1, "n": 2})
    assert [parse_pattern(regex).groups for regex in ("a", "(a)", ".*", "(.*)", "(a)(b?)")] == [0, 1, 0, 1, 2]


@pytest.mark.parametrize(
    "regex",
    [
        "(",
        "a)|(b",
        "[z-a]",
        "a++",
        "x{1001}",
        "x{3,2}",
        "(?=a)",
        r"\1",
        r"\Z",
        r"\C",
        r"[\C]",
        r"\Qa",
        "(?P<é>x)",
        "a\\",
    ],
)
def test_what_prometheus_refuses_is_refused_with_a_reason(regex: str) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        parse_pattern(regex)


@pytest.mark.parametrize(
    ("regex", "reason"),
    [
        (r"\C", r"invalid escape sequence: \\C"),
        (r"[\C]", r"invalid escape sequence: \\C"),
        ("(?P<é>x)", "invalid named capture: é"),
    ],
)
def test_what_only_prometheus_refuses_is_refused_in_our_words(regex: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        parse_pattern(regex)


def test_a_large_pattern_that_prometheus_takes_is_taken() -> None:
    assert parse_pattern(r"\pL{1000}").matches("é" * 1000)
    assert parse_pattern(r"\Q\C\E").matches(r"\C")


def test_re2_is_loaded_only_for_what_needs_it() -> None:
    program = "import sys; from kuma_sd.prometheus.regex import parse_pattern as p; p('a|b'); p('(.*)'); p('(a+)(b?)')"
    check = "; assert 're2' not in sys.modules; p('(a*)*'); assert 're2' in sys.modules"
    subprocess.run([sys.executable, "-c", program + check], check=True)


@pytest.mark.parametrize(
    "regex", ["(a+)+b", "(.*)(.*)(.*)(.*)x", "(?:a|.)" * 30 + "x", "[^b]{1,90}[^b]{1,90}[^b]{1,90}x"]
)
def test_no_pattern_takes_long(regex: str) -> None:
    pattern, started = parse_pattern(regex), time.process_time()
    for length in (5, 20, 50, 200, 5000):
        assert not pattern.matches("a" * length)
    assert time.process_time() - started < 1


ATOMS = [*"ab-:1é\n", r"\.", r"\d", r"\w", ".", "[a-z]", "[^a]", "[^:]", r"[\d.]", "[a-c.-]", r"\-", r"[\w-]", " "]
QUANTIFIERS = [*[""] * 4, "*", "+", "?", "*?", "+?", "??", "{2}", "{1,2}", "{0,1}?", "{1,}"]

items = st.builds("".join, st.tuples(st.sampled_from(ATOMS), st.sampled_from(QUANTIFIERS)))
chains = st.builds("|".join, st.lists(st.builds("".join, st.lists(items, max_size=3)), min_size=1, max_size=3))
pieces = items | chains.map("({})".format) | st.builds("(?:{}){}".format, chains, st.sampled_from(["", "?", "??"]))
sequences = st.builds(
    "".join, st.tuples(st.sampled_from(["", "^"]), st.builds("".join, st.lists(pieces)), st.sampled_from(["", "$"]))
)
words = st.builds("|".join, st.lists(st.text(r"ab\.|:é$^", max_size=3), min_size=1, max_size=3))
around = st.builds(
    "{}{}{}".format, st.sampled_from(["", "a", r"a\.", "^"]), st.sampled_from([".*", "(.+)"]), st.text("ab$")
)
texts = st.text("aab1-:.\né |", max_size=9)


def found_by_re2(regex: str, text: str) -> list[str] | None:
    options = re2.Options()
    options.log_errors = False
    found = re2.compile(f"^(?s:{regex})$", options).search(text)
    return found and [found[0], *found.groups("")]


def assert_like_re2(regex: str, text: str) -> None:
    try:
        pattern: Pattern = parse_pattern(regex)
    except ValueError:
        return
    groups = pattern.find(text)
    assert (groups and list(groups)) == found_by_re2(regex, text)
    assert pattern.matches(text) == (groups is not None)


@given(sequences | words | around, texts)
def test_all_shapes_match_like_re2(regex: str, text: str) -> None:
    assert_like_re2(regex, text)


@given(
    st.lists(st.sampled_from([*ATOMS, *QUANTIFIERS, *"()|^$[]{}\\,", "(?:", "(?i)", r"\Q", r"\E"]), max_size=6), texts
)
def test_any_text_is_a_pattern_just_where_it_is_one_for_re2(parts: list[str], text: str) -> None:
    regex = "".join(parts)
    assert_like_re2(regex, text)
    try:
        parse_pattern(regex)
    except ValueError:
        # Parentheses that close those which Prometheus puts around are refused here.
        assume(")" not in regex)
        with pytest.raises(re2.error):
            found_by_re2(regex, text)
