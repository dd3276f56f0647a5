import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuma_sd import ConfigError
from kuma_sd.prometheus.matchers import MATCHERS, MOST_MATCHERS, Matcher, Matchers, parse_matchers

LABELS = {"mesh": "payments", "env": "prod", "text": 'a "b"\n', "empty": ""}


@pytest.mark.parametrize(
    "text",
    [
        'mesh="payments"',
        "mesh=payments",
        "mesh='payments'",
        "mesh=`payments`",
        '{mesh="payments"}',
        ' { mesh = "payments" , env =~ "prod|stage" , } ',
        'mesh="payments", env=~"prod|stage"',
        'env!="dev"',
        'env!~"dev|test"',
        'env=~"(?i)PROD"',
        'env=~"p.+"',
        r'text="a \"b\"\n"',
        'text=~`a "b"\\n`',
        'empty=""',
        'absent=""',
        'absent=~".*"',
        'absent!="x"',
        'env!=""',
        "",
        "{}",
    ],
)
def test_it_matches(text: str) -> None:
    assert parse_matchers(text).matches(LABELS.get)


@pytest.mark.parametrize(
    "text",
    [
        'mesh="default"',
        'mesh="payments", env="dev"',
        'env=~"pro"',
        'env=~"rod"',
        'env!~"prod|stage"',
        'absent!=""',
        'absent=~".+"',
        'empty!=""',
        'env=""',
        'text=~"a .b."',
    ],
)
def test_it_does_not_match(text: str) -> None:
    assert not parse_matchers(text).matches(LABELS.get)


@pytest.mark.parametrize("word", ["backend-01", "10.0.0.1:80", "/metrics", "a_b", "日本"])
def test_a_plain_word_needs_no_quotes(word: str) -> None:
    assert parse_matchers(f"a={word},b!={word}") == Matchers([Matcher("a", "=", word), Matcher("b", "!=", word)])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mesh", "'mesh' is wrong at character 5: expected =, !=, =~ or !~ after mesh"),
        ("mesh=", "'mesh=' is wrong at character 6: expected a value for mesh, in quotes that are closed again"),
        ('mesh="a', "is wrong at character 6: expected a value for mesh, in quotes that are closed again"),
        ("mesh==a", "is wrong at character 6: expected a value for mesh"),
        ("env=a|b", "is wrong at character 6: expected a comma or the end; put quotes around values that"),
        ("env=a b=c", "is wrong at character 7: expected a comma or the end"),
        ("{env=a", "is wrong at character 7: expected a comma or }"),
        ("env=a}", "is wrong at character 6: expected a comma or the end"),
        ("a=b,,c=d", "is wrong at character 5: expected the name of a label, as in mesh"),
        ("1a=b", "is wrong at character 1: expected the name of a label"),
        ("kuma.io/service=b", "is wrong at character 5: expected =, !=, =~ or !~ after kuma"),
        ('a=b, c=~"("', r"is wrong at character 9: this regular expression is refused: ."),
        (r"a=~`\pL{1000}`", "is wrong at character 4: this regular expression is refused: pattern too large"),
        ("a=~`" + "(" * 101 + ")" * 101 + "`", "is wrong at character 4: more than 100 groups in a regular expression"),
        (",".join(["a!=b"] * (MOST_MATCHERS + 1)), f"more than {MOST_MATCHERS} conditions"),
        (r'a="\d"', r"is wrong at character 4: unknown escape \\d; a backslash is written twice, or in `…`"),
    ],
)
def test_an_error_says_where_and_why(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        parse_matchers(text)
    with pytest.raises(ValueError, match=r"^is wrong at character"):
        MATCHERS.parse(text)


names = st.from_regex("[a-zA-Z_][a-zA-Z0-9_]*", fullmatch=True)
equalities = st.builds(Matcher, names, st.sampled_from(["=", "!="]), st.text())


@given(st.lists(equalities).map(Matchers))
def test_what_is_shown_can_be_parsed(matchers: Matchers) -> None:
    assert parse_matchers(str(matchers)) == matchers
    assert MATCHERS.parse(MATCHERS.show(matchers)) == matchers


@given(st.text())
def test_any_text_is_parsed_or_refused(text: str) -> None:
    with contextlib.suppress(ConfigError):
        assert parse_matchers(str(parse_matchers(text))) == parse_matchers(text)
