"""Tell whether a response is one of MADS."""

from typing import NamedTuple

from kuma_sd.core.response_descriptions import type_shown
from kuma_sd.core.text import size
from kuma_sd.mads.codecs import ResourceCodec
from kuma_sd.mads.errors import ForeignError

MOST_FIELDS = 1000
"""How many fields a response may have besides resources. Kuma sends two or three."""

LARGEST_FIELD = 2**20
"""Maximum size of each of them, in bytes."""

LONGEST_TEXT = 4096
"""Maximum length of type, version and nonce, in characters. Kuma's have up to 68, 36 (a UUID) and a few."""


class Envelope(NamedTuple):
    """What a response has besides resources; empty text for what is missing."""

    type_url: str = ""
    version: str = ""
    nonce: str = ""


class FieldLimits:
    """Refuses a response before it has too many fields besides resources, or one that is too large."""

    def __init__(self) -> None:
        self._count = 0

    def add(self, field_size: int) -> None:
        """Take notice of a field.

        Args:
            field_size: its size, in bytes.

        Raises:
            ForeignError: there are too many now, or it is too large.
        """
        self._count += 1
        problem = ""
        if self._count > MOST_FIELDS:
            problem = f"it has more than {MOST_FIELDS:,} fields besides resources"
        elif field_size > LARGEST_FIELD:
            problem = f"it has a field besides resources that is larger than {size(LARGEST_FIELD)}"
        if problem:
            raise ForeignError(f"its answer is no MADS response ({problem})")


def foreign(codec: ResourceCodec, envelope: Envelope) -> str:
    """Return why a response is not a MADS response; empty if it is one.

    Every Kuma release sends type and version in every response, also in one without assignments.
    """
    type_url, version, _ = envelope
    for name, text in zip(("type_url", "version_info", "nonce"), envelope, strict=True):
        if len(text) > LONGEST_TEXT:
            return f"its {name} has more than {LONGEST_TEXT:,} characters"
    if not type_url:
        return "it has no type_url"
    if type_url != codec.type_url:
        return f"its type_url is {type_shown(type_url)}"
    return "" if version else "it has no version_info"
