"""Tell whether a response is one of MADS."""

from typing import NamedTuple

from kuma_sd.core.response_descriptions import type_shown
from kuma_sd.mads.codecs import ResourceCodec


class Envelope(NamedTuple):
    """What a response has besides resources; empty text for what is missing."""

    type_url: str = ""
    version: str = ""
    nonce: str = ""


def foreign(codec: ResourceCodec, type_url: str, version: str) -> str:
    """Return why a response is not a MADS response; empty if it is one.

    Every Kuma release sends type and version in every response, also in one without assignments.
    """
    if not type_url:
        return "it has no type_url"
    if type_url != codec.type_url:
        return f"its type_url is {type_shown(type_url)}"
    return "" if version else "it has no version_info"
