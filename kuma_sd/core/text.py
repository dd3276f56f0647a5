"""Text for people: what they may have meant, and how many."""

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that looks most like this one, if any does."""
    import difflib  # noqa: PLC0415 (late, since most words are right)

    by_plain_form = {_plain(word): word for word in known}
    close = difflib.get_close_matches(_plain(word), list(by_plain_form), n=1)
    return by_plain_form[close[0]] if close else None


def did_you_mean(word: str, known: Iterable[str], form: str = "'{}'") -> str:
    """Return the end of a message that suggests the nearest known word, or nothing.

    Args:
        word: what was written.
        known: what could have been written.
        form: how a word is shown.
    """
    close = nearest(word, known)
    return f"; did you mean {form.format(close)}?" if close else ""


def _plain(word: str) -> str:
    return word.lower().replace("_", "-")


def counted(number: int, noun: str) -> str:
    """Return ``1 target``, ``2 targets``."""
    return f"{number} {noun}{'s' * (number != 1)}"
