"""Warn about text that looks as if something replaced it, while settings are taken literally."""

import re
from collections.abc import Iterator
from typing import Any

from kuma_sd.core.options import OptionType
from kuma_sd.settings.precedence import Texts
from kuma_sd.settings.schema import Schema

_QUOTED = re.compile(r"""(["'])(?:(?!\1).)*\1""")

# What a shell replaces, and Python's configparser.
_HOME = re.compile(r"~(?=/|[a-z_][\w-]*/|$)")
_VARIABLE = re.compile(r"\$(?:\{[A-Za-z_]\w*\}|[A-Z_][A-Z0-9_]*)|%\(\w+\)s")


def taken_literally(texts: Texts, schema: Schema) -> Iterator[str]:
    """Yield a warning, without the value, for each value in quotes, or of which a shell would replace a part.

    Args:
        texts: the texts that are set.
        schema: all options.
    """
    for declaration in schema:
        text = texts.get(declaration.place)
        if text is None or "\n" in text.value:
            continue
        where = f"{text.origin}: {declaration.option.name}"
        if _QUOTED.fullmatch(text.value):
            yield f"{where} has quotes around its value, which are part of it; leave them away"
        elif found := _replaceable(text.value, declaration.option.type):
            yield f"{where} has '{found}' in it, which nothing replaces; write out what you mean"


def _replaceable(value: str, type_: OptionType[Any]) -> str:
    """Return what a shell would replace in a path or an address; other values may well hold it."""
    if type_.secret or not (type_.name == "path" or type_.may_hold_secret):
        return ""
    found = _HOME.match(value) or _VARIABLE.search(value)
    return found[0] if found else ""
