"""The transform ``labels``: adds, renames and removes labels."""

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from kuma_sd import (
    LABEL,
    LABEL_NAME,
    ConfigError,
    Labels,
    OptionType,
    Target,
    TransformPlugin,
    hookimpl,
    list_of,
    option,
)

_REFERENCE = re.compile(r"\$(?:(\$)|\{([A-Za-z_][A-Za-z0-9_]*)\}|)")

Pairs = tuple[tuple[str, str], ...]


def _parse_pair(line: str) -> tuple[str, str]:
    name, equals, value = (part.strip() for part in line.partition("="))
    if not (equals and LABEL_NAME.fullmatch(name)):
        raise ValueError(f"has {line!r}, which is no label name with = and a value")
    if not value:
        raise ValueError(f"has no value for {name}; remove takes a label away")
    return name, value


def _parse_pairs(text: str) -> Pairs:
    pairs = tuple(_parse_pair(line) for line in text.split("\n") if line.strip())
    _refuse_doubles(name for name, _ in pairs)
    return pairs


def _parse_renaming(text: str) -> Pairs:
    pairs = _parse_pairs(text)
    for old, new in pairs:
        if not LABEL_NAME.fullmatch(new):
            raise ValueError(f"has {old}={new}, of which {new!r} is no label name")
    _refuse_doubles(new for _, new in pairs)
    return pairs


def _refuse_doubles(names: Iterable[str]) -> None:
    seen: set[str] = set()
    for name in names:
        if name in seen:
            raise ValueError(f"has {name} twice")
        seen.add(name)


def _show_pairs(pairs: Pairs) -> str:
    return "\n".join(f"{name}={value}" for name, value in pairs)


PAIRS = OptionType("name=value", _parse_pairs, _show_pairs)
RENAMING = OptionType("old=new", _parse_renaming, _show_pairs)


@dataclass(frozen=True)
class LabelsOptions:
    """The options of ``labels``. Labels are first removed, then renamed, then added."""

    add: Pairs = option(
        (),
        PAIRS,
        "Labels to add or to set, name=value, one per line. ${SITE} is the environment variable SITE, and $$ is $.",
    )
    rename: Pairs = option(
        (), RENAMING, "Labels to rename, old=new, one per line. A label that already has the new name is replaced."
    )
    remove: tuple[str, ...] = option((), list_of(LABEL), "Labels to remove.")


class ChangeLabels:
    """Removes, renames and adds labels.

    Args:
        options: what to change.

    Raises:
        ConfigError: nothing is to be changed, or an environment variable is not set.
    """

    def __init__(self, options: LabelsOptions) -> None:
        if options == LabelsOptions():
            raise ConfigError("there is nothing to change; set add, rename or remove")
        self._options = options
        self._added = {name: _expand(name, value, os.environ) for name, value in options.add}

    def __call__(self, labels: Labels, _target: Target) -> Iterable[Labels]:
        """Return the labels after all changes."""
        remove, rename = self._options.remove, self._options.rename
        kept = {name: value for name, value in labels.items() if value and name not in remove}
        renamed = {new: kept.pop(old) for old, new in rename if old in kept}
        return (kept | renamed | self._added,)

    def explain(self, labels: Labels, _target: Target) -> Iterator[tuple[str, Labels]]:
        """Yield what is removed, renamed and added, each with the labels after it."""
        options = self._options
        if options.remove:
            labels = {name: value for name, value in labels.items() if value and name not in options.remove}
            yield f"remove {', '.join(options.remove)}", labels
        if options.rename:
            kept = {name: value for name, value in labels.items() if value}
            labels = {new: kept.pop(old) for old, new in options.rename if old in kept}
            labels = kept | labels
            yield f"rename {', '.join(f'{old}={new}' for old, new in options.rename)}", labels
        if options.add:
            # As written in the settings: the values of environment variables show in the labels.
            yield f"add {', '.join(f'{name}={value}' for name, value in options.add)}", labels | self._added


def _expand(name: str, value: str, environment: Mapping[str, str]) -> str:
    def reference(found: re.Match[str]) -> str:
        dollar, variable = found.groups()
        if dollar:
            return "$"
        if not variable:
            raise ConfigError(
                f"the value of {name} in add has a $ alone; write $$ for one, ${{NAME}} for a variable", option="add"
            )
        if variable not in environment:
            raise ConfigError(
                f"the environment variable {variable} is not set, which {name} in add needs", option="add"
            )
        return environment[variable]

    return _REFERENCE.sub(reference, value)


@hookimpl
def kuma_sd_transform_plugin() -> TransformPlugin:
    """Describe labels."""
    return TransformPlugin(open=lambda options, _context: ChangeLabels(options), options=LabelsOptions)
