"""Valid label names: check them, and repair invalid ones."""

import re
from typing import NamedTuple

from kuma_sd.core.bounded_cache import remember_short
from kuma_sd.core.options import OptionType

LABEL_NAME = re.compile("[a-zA-Z_][a-zA-Z0-9_]*")
"""Matches, as a whole, the label names that every version of Prometheus accepts."""


def _parse_label(text: str) -> str:
    if not LABEL_NAME.fullmatch(text):
        raise ValueError("is no label name")
    return text


LABEL = OptionType("label", _parse_label)
"""The type of an option that names a label."""

_INVALID = re.compile("[^a-zA-Z0-9_]")


# Bounded, since tag names come from outside.
@remember_short(10_000)
def valid_name(name: str) -> str:
    """Make a label name valid for every Prometheus: ``[a-zA-Z_][a-zA-Z0-9_]*``.

    A leading digit gets ``_`` in front. The Go program left the digit, and Prometheus 2 refused the whole file.
    """
    valid = _INVALID.sub("_", name)
    return valid if valid and not valid[0].isdigit() else f"_{valid}"


def is_valid(name: str) -> bool:
    """Tell whether every version of Prometheus accepts this label name."""
    return valid_name(name) == name


# Cached, since most targets share their label names.
@remember_short(1000)
def are_valid(names: tuple[str, ...]) -> bool:
    """Tell whether every version of Prometheus accepts all these label names."""
    return all(map(is_valid, names))


class Repair(NamedTuple):
    """Valid names for a set of label names.

    Args:
        names: each valid name, with the name that it replaces.
        repaired: the number of names made valid.
        collided: the number of labels lost because another has the same valid name.
    """

    names: tuple[tuple[str, str], ...]
    repaired: int
    collided: int


@remember_short(1000)
def repair_names(names: tuple[str, ...]) -> Repair:
    """Make label names valid."""
    valid: dict[str, str] = {}
    # If several names become the same, the one that was valid wins, else the smallest original.
    for name in sorted(names, key=lambda name: (not is_valid(name), name)):
        valid.setdefault(valid_name(name), name)
    repaired = sum(name != original for name, original in valid.items())
    return Repair(tuple(valid.items()), repaired, len(names) - len(valid))
