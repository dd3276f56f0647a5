"""The names that labels may have."""

import re

from kuma_sd.core.options import OptionType

LABEL_NAME = re.compile("[a-zA-Z_][a-zA-Z0-9_]*")
"""Matches, as a whole, the label names that every version of Prometheus accepts."""


def _parse_label(text: str) -> str:
    if not LABEL_NAME.fullmatch(text):
        raise ValueError("is no label name")
    return text


LABEL = OptionType("label", _parse_label)
"""The type of an option that names a label."""
