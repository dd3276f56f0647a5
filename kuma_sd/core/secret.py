"""Secrets: values that no conversion to text in Python shows."""

import re
import threading
import weakref
from collections.abc import Iterator
from typing import NoReturn

MASK = "********"
"""The text that replaces a secret."""

SHORTEST_REDACTED = 4
"""Minimum length of a secret that is redacted in texts, in characters."""

SHORTEST_IN_WORDS = 8
"""Minimum length of a secret that is redacted within words too, in characters."""

_lock = threading.Lock()
_known: "weakref.WeakSet[Secret]" = weakref.WeakSet()


class Secret:
    """A text that is never shown; only ``reveal()`` returns it.

    Args:
        text: the secret.
    """

    __slots__ = ("__weakref__", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        if len(text) >= SHORTEST_REDACTED:
            with _lock:
                _known.add(self)

    def reveal(self) -> str:
        """Return the secret itself."""
        return self._text

    def __str__(self) -> str:
        return MASK if self._text else ""

    def __repr__(self) -> str:
        return f"Secret({str(self)!r})"

    def __format__(self, spec: str) -> str:
        return format(str(self), spec)

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __copy__(self) -> "Secret":
        return self

    def __deepcopy__(self, _memo: object) -> "Secret":
        return self

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret cannot be written")


NOTHING = Secret("")
"""The empty secret: none is set."""


def redacted(text: str) -> str:
    """Redact the secrets that this process knows in a text of a library or plugin.

    Texts of kuma-sd itself need no redaction, since they are never built from a secret.
    """
    with _lock:
        known = list(_known)
    for form in sorted({form for secret in known for form in _forms(secret.reveal())}, key=len, reverse=True):
        if form in text:
            # A short secret may be part of an unrelated word.
            edge = r"\b" if len(form) < SHORTEST_IN_WORDS and form.isalnum() else ""
            text = re.sub(f"{edge}{re.escape(form)}{edge}", MASK, text)
    return text


def _forms(secret: str) -> Iterator[str]:
    """Yield the forms in which a text may hold a secret."""
    import base64  # noqa: PLC0415 (late, since most commands start without a secret)
    import json  # noqa: PLC0415 (as above)
    from urllib.parse import quote  # noqa: PLC0415 (as above)

    yield secret
    yield quote(secret, safe="")
    yield repr(secret)[1:-1]
    yield json.dumps(secret)[1:-1]
    yield base64.b64encode(secret.encode()).decode()


def parse_secret_file(content: bytes) -> Secret:
    """Parse the content of a secret file: one line of visible ASCII, with or without a line end.

    Raises:
        ValueError: it holds something else; the message continues a sentence that begins with the file's name, and
            quotes nothing of the content.
    """
    line = re.fullmatch(rb"[ \t]*([!-~]+)[ \t]*(?:\r?\n)?", content)
    if not line:
        raise ValueError("must hold one line of visible ASCII characters without blanks, and nothing else")
    return Secret(line[1].decode())
