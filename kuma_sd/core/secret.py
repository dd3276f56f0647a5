"""Secrets: values that cannot be shown by any of the ways in which Python makes text of a value."""

import base64
import json
import re
import threading
import weakref
from collections.abc import Iterator
from typing import NoReturn
from urllib.parse import quote

MASK = "********"
"""What is shown in a secret's place."""

SHORTEST_REDACTED = 4
"""How long a secret is at least, in characters, to be looked for in texts."""

SHORTEST_IN_WORDS = 8
"""How long it is at least, to be found within a word, too."""

_lock = threading.Lock()
_known: "weakref.WeakSet[Secret]" = weakref.WeakSet()


class Secret:
    """A text that never shows itself; ``reveal()`` is the only way to it.

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
"""The secret of who has none."""


def redacted(text: str) -> str:
    """Return a text that a library or a plugin wrote, without the secrets that this process knows.

    Our own texts need none of it, since they are never made of a secret.
    """
    with _lock:
        known = list(_known)
    for form in sorted({form for secret in known for form in _forms(secret.reveal())}, key=len, reverse=True):
        if form in text:
            # A short one may be part of a word that has nothing to do with it.
            edge = r"\b" if len(form) < SHORTEST_IN_WORDS and form.isalnum() else ""
            text = re.sub(f"{edge}{re.escape(form)}{edge}", MASK, text)
    return text


def _forms(secret: str) -> Iterator[str]:
    """Yield how a secret may stand in a text."""
    yield secret
    yield quote(secret, safe="")
    yield repr(secret)[1:-1]
    yield json.dumps(secret)[1:-1]
    yield base64.b64encode(secret.encode()).decode()


def parse_secret_file(content: bytes) -> Secret:
    """Read the content of a file that holds a secret: one line of visible ASCII, with or without an end.

    Raises:
        ValueError: something else is in it; the reason follows the file's name in a sentence and quotes nothing.
    """
    line = re.fullmatch(rb"[ \t]*([!-~]+)[ \t]*(?:\r?\n)?", content)
    if not line:
        raise ValueError("must hold one line of visible ASCII characters without blanks, and nothing else")
    return Secret(line[1].decode())
