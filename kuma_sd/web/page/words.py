"""How things are said on the page."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlencode

from kuma_sd.core.model import Key
from kuma_sd.prometheus.matchers import Matcher, Matchers
from kuma_sd.system.log_format import escape
from kuma_sd.telemetry.explanation import Identity

IS_MATCHERS = re.compile("[={}]|!~")
"""What tells label matchers from plain words."""

LONGEST = 300
"""How much of a text is shown, in characters."""

_UNITS = (("d", 86400), ("h", 3600), ("m", 60), ("s", 1))


def duration(seconds: float) -> str:
    """Say a time by its two largest units, which is as much as anybody reads."""
    if seconds < 1:
        return f"{max(0, round(seconds * 1000))} ms"
    parts: list[str] = []
    rest = int(seconds)
    for name, unit in _UNITS:
        count, rest = divmod(rest, unit)
        if count or parts:
            parts.append(f"{count} {name}" if count else "")
    return " ".join(filter(None, parts[:2]))


def ago(when: float, now: float) -> str:
    """Say how long ago something was."""
    return "now" if now - when < 1 else f"{duration(now - when)} ago"


def clock(when: float, now: float) -> str:
    """Say when something was; with its date, if that was another day."""
    moment = datetime.fromtimestamp(when, UTC)
    is_today = moment.date() == datetime.fromtimestamp(now, UTC).date()
    return f"{moment:%H:%M:%S}" if is_today else f"{moment:%Y-%m-%d %H:%M:%S}"


def iso(when: float) -> str:
    """Say a moment to machines."""
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def counted(number: int, noun: str) -> str:
    """Return ``1 target``, ``2,000 targets``."""
    return f"{number:,} {noun}{'s' * (number != 1)}"


def size(count: int) -> str:
    """Say how much it is, in bytes."""
    value = float(count)
    for unit in ("bytes", "KiB", "MiB"):
        if value < 1024:  # noqa: PLR2004 (the next unit)
            return f"{value:,.0f} {unit}" if unit == "bytes" or value >= 10 else f"{value:,.1f} {unit}"  # noqa: PLR2004 (two digits are enough)
        value /= 1024
    return f"{value:,.1f} GiB"


def short(text: str, longest: int = LONGEST) -> str:
    """Cut what nobody would read, and make visible what has no shape of its own."""
    return escape(text if len(text) <= longest else f"{text[: longest - 1]}…")


def link(path: str, **query: object) -> str:
    """Return a relative link, so that the page may stand below any path of a proxy; empty values are left out."""
    present = {name: str(value) for name, value in query.items() if value not in ("", None, False, 0)}
    return f"{path}?{urlencode(present, errors='replace')}" if present else path


def matchers(**facts: str) -> str:
    """Return matchers that choose what has these labels."""
    return str(Matchers(Matcher(name, "=", value) for name, value in facts.items()))


def matchers_of(target: Key | Identity) -> str:
    """Return matchers that choose one dataplane."""
    one = Identity.of(target) if isinstance(target, Key) else target
    plane = {"control_plane": one.control_plane} if one.control_plane else {}
    return matchers(mesh=one.mesh, dataplane=one.dataplane, **plane)


FILTERS: dict[str, Callable[..., str]] = {
    "duration": duration,
    "ago": ago,
    "clock": clock,
    "iso": iso,
    "counted": counted,
    "size": size,
    "short": short,
}
