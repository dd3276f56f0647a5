"""Nesting in YAML documents is bounded by us, on every PyYAML."""

import pytest
import yaml

from kuma_sd.core.yaml_nesting import DEEPEST, refuse_deep_nesting

LOADERS = [yaml.SafeLoader, yaml.BaseLoader, yaml.CSafeLoader, yaml.CBaseLoader]


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize(
    "text",
    [
        "[" * 300_000,
        "[" * (DEEPEST + 1) + "]" * (DEEPEST + 1),
        "[\n" * 20_000,
        "[{" * 20_000,
        '{"a":' * 20_000,
        "{a: {b: [" * 20_000,
        "- a: [x, 'y]', " + "[" * 20_000,
        'a: "]]" # ]\nb: ' + "[" * 20_000,
        "&a " + "!t [" * 20_000,
        "\ufeff" + "[" * 20_000,
        "- " * 10_000,
        "".join(" " * level + "a:\n" for level in range(200)),
    ],
    ids=lambda text: repr(text[:20]),
)
def test_a_deeply_nested_document_is_refused_in_our_words(text: str, loader: type) -> None:
    with pytest.raises(ValueError, match=r"^it is nested too deeply$"):
        refuse_deep_nesting(text.encode(), loader)


def test_a_deeply_nested_document_in_utf_16_is_refused_in_our_words() -> None:
    with pytest.raises(ValueError, match=r"^it is nested too deeply$"):
        refuse_deep_nesting(("[" * 20_000).encode("utf-16"), yaml.CSafeLoader)


@pytest.mark.parametrize("loader", LOADERS)
@pytest.mark.parametrize(
    "text",
    [
        "[" * DEEPEST + "]" * DEEPEST,
        "- [a, b]\n" * 1000,
        '- {regex: \'[\', b: "[{\\"["}\n' * 1000,
        "- regex: a[\n  replacement: don't [\n" * 1000,
        "- regex: [don't, it's, a#b, '#']\n" * 1000,
        "- regex: |\n    " + "[" * 90 + "\n",
        "# " + "[" * 1000 + "\n- a # " + "[" * 1000,
        "- " + "'" + "[" * 1000 + "'",
        "- ? [a, b]\n  : {c: d}\n" * 1000,
    ],
    ids=lambda text: repr(text[:20]),
)
def test_brackets_that_nest_nothing_are_accepted(text: str, loader: type) -> None:
    refuse_deep_nesting(text.encode(), loader)
