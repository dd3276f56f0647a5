"""Write suggestions, counts, durations and sizes for people; no other module does."""

from collections.abc import Iterable


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word that is most similar to this one; None if none is."""
    import difflib  # noqa: PLC0415 (late, since most words are right)

    by_plain_form = {_plain(word): word for word in known}
    close = difflib.get_close_matches(_plain(word), list(by_plain_form), n=1)
    return by_plain_form[close[0]] if close else None


def did_you_mean(word: str, known: Iterable[str], form: str = "'{}'") -> str:
    """Return the end of a message that suggests the nearest known word, or nothing.

    Args:
        word: what was written.
        known: what could have been written.
        form: the format string that shows a word.
    """
    close = nearest(word, known)
    return f"; did you mean {form.format(close)}?" if close else ""


def _plain(word: str) -> str:
    return word.lower().replace("_", "-")


def counted(number: int, noun: str) -> str:
    """Write a count with its noun: ``1 target``, ``2,000 targets``."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def duration(seconds: float) -> str:
    """Write a duration with its two largest units: ``3m20s``, ``2d4h``, ``12ms``."""
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))}ms"
    parts: list[str] = []
    rest = int(seconds)
    for name, unit in _UNITS:
        count, rest = divmod(rest, unit)
        if count or parts:
            parts.append(f"{count}{name}" if count else "")
    return "".join(parts[:2])


def ago(when: float | None, now: float) -> str:
    """Write the time since a moment, like ``3m20s ago``; None is ``never``."""
    if when is None:
        return "never"
    return "now" if now - when < 1 else f"{duration(now - when)} ago"


def size(count: int) -> str:
    """Write a number of bytes with a suitable unit: ``625 KiB``, ``1.5 GiB``."""
    value = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if value < 1024:  # noqa: PLR2004 (the next unit)
            return f"{value:,.0f} {unit}" if unit == "bytes" or value >= 10 else f"{value:,.1f} {unit}"  # noqa: PLR2004 (two digits are enough)
        value /= 1024
    return f"{value:,.1f} GiB"
