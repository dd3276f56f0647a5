"""Limit the nesting of a YAML document before a YAML library composes it.

libyaml composes recursively and crashes the process when the stack is full. Newer releases refuse deep nesting with
their own message, before their events show it, since libyaml scans 1,024 characters ahead for a possible key
(https://yaml.org/spec/1.1/#id934537).
"""

import codecs
import re
from typing import Any

DEEPEST = 8
"""Maximum nesting, in levels: a list of mappings with lists takes three."""

# The limit for brackets in the text: far above DEEPEST, so that a scalar is never refused for its brackets, and far
# below the 1,000 levels that libyaml accepts since PyYAML 6.0.4.
_DEEPEST_IN_TEXT = 100

_QUOTED = r""""(?:[^"\\]|\\.)*+"?|'(?:[^']|'')*+'?"""
# Outside [] and {}, brackets inside a plain scalar are text; the scalar ends at a line end, a comment, or as a key.
_BLOCK_TOKEN = (
    rf"(?s)\s+|[-?:](?=\s)|\#[^\n]*|[!&*]\S*|(?P<quoted>{_QUOTED})|(?P<opens>[\[{{])|[^\n]+?(?=:\s|\s\#|\n|\Z)"
)
# Inside [] and {}, every bracket outside quotes counts.
_FLOW_TOKEN = rf"(?s)[\s,:]+|\#[^\n]*|(?P<quoted>{_QUOTED})|(?P<opens>[\[{{])|(?P<closes>[\]}}])|[^\s,:\[\]{{}}]+"


def refuse_deep_nesting(content: bytes, loader: Any) -> None:  # noqa: ANN401 (PyYAML has no type for its loaders)
    """Refuse a YAML document that is nested too deeply to be composed.

    Args:
        content: the document.
        loader: the PyYAML loader that will compose it.

    Raises:
        ValueError: it is nested too deeply.
        yaml.YAMLError: the part that was read is not YAML.
    """
    import yaml  # noqa: PLC0415 (most commands read no YAML)

    if _is_deep_in_text(content):
        raise ValueError("it is nested too deeply")
    depth = 0
    for event in yaml.parse(content, Loader=loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > DEEPEST:
            raise ValueError("it is nested too deeply")


def _is_deep_in_text(content: bytes) -> bool:
    if content.count(b"[") + content.count(b"{") <= _DEEPEST_IN_TEXT:
        return False
    utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = content.decode("utf-16" if utf16 else "utf-8-sig", "replace")
    # Compiled here, since hardly any document has that many brackets.
    block_token, flow_token = re.compile(_BLOCK_TOKEN), re.compile(_FLOW_TOKEN)
    depth = position = 0
    while position < len(text) and depth <= _DEEPEST_IN_TEXT:
        token = (flow_token if depth else block_token).match(text, position)
        position = token.end() if token else position + 1
        depth += _levels(token)
    return depth > _DEEPEST_IN_TEXT


def _levels(token: re.Match[str] | None) -> int:
    kind = token.lastgroup if token else None
    return {"opens": 1, "closes": -1}.get(kind or "", 0)
