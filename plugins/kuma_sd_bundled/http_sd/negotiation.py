"""Negotiate content codings and conditional requests (RFC 9110, 12.5.3 and 13.1.2)."""

import re
from collections.abc import Collection

_ITEM = re.compile(r"\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*(?:;\s*[qQ]\s*=\s*(1(?:\.0{0,3})?|0(?:\.[0-9]{0,3})?)\s*)?")
_TAG = re.compile(r'(?:W/)?("[^"]*")')


def choose_coding(accepted: str, offered: Collection[str]) -> str | None:
    """Choose a content coding.

    Args:
        accepted: the header ``Accept-Encoding``; empty when there is none.
        offered: what there is besides ``identity``, the best first.

    Returns:
        A coding that the client names, unless it prefers ``identity``; otherwise ``identity``, since some clients
        support nothing else; None if that is not accepted either.
    """
    weights: dict[str, float] = {}
    for item in accepted.lower().split(","):
        found = _ITEM.fullmatch(item)
        if found:
            weights[found[1].removeprefix("x-")] = float(found[2] or 1)
    others = weights.get("*")
    plain = weights.get("identity", 0.0)
    best = max(offered, key=lambda coding: weights.get(coding, 0.0), default="")
    if weights.get(best, 0.0) > 0 and weights[best] >= plain:
        return best
    if plain > 0 or ("identity" not in weights and others != 0):
        return "identity"
    return next((coding for coding in offered if others and coding not in weights), None)


def is_known(etag: str, if_none_match: str) -> bool:
    """Tell whether a client already has the body with this entity tag; tags are compared weakly.

    Args:
        etag: a strong tag, with its quotes.
        if_none_match: the header ``If-None-Match``; empty when there is none.
    """
    return if_none_match.strip() == "*" or etag in _TAG.findall(if_none_match)
