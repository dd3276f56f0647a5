"""Filters of the page's templates: times, links, matchers."""

import re
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import urlencode

from kuma_sd.core.model import Key
from kuma_sd.core.text import ago, counted, duration, size
from kuma_sd.prometheus.matchers import Matcher, Matchers
from kuma_sd.system.log_format import escape
from kuma_sd.telemetry.explanation import Identity

IS_MATCHERS = re.compile("[={}]|!~")
"""Distinguishes label matchers from plain words."""

LONGEST = 300
"""Maximum length of a shown text, in characters."""


def clock(when: float, now: float) -> str:
    """Format a time of day; with the date if it was another day."""
    moment = datetime.fromtimestamp(when, UTC)
    is_today = moment.date() == datetime.fromtimestamp(now, UTC).date()
    return f"{moment:%H:%M:%S}" if is_today else f"{moment:%Y-%m-%d %H:%M:%S}"


def iso(when: float) -> str:
    """Format a time as ISO 8601."""
    return datetime.fromtimestamp(when, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def short(text: str, longest: int = LONGEST) -> str:
    """Truncate a long text, and escape invisible characters."""
    return escape(text if len(text) <= longest else f"{text[: longest - 1]}…")


def link(path: str, **query: object) -> str:
    """Return a relative link, which works behind a proxy with any path prefix; empty values are omitted."""
    present = {name: str(value) for name, value in query.items() if value not in ("", None, False, 0)}
    return f"{path}?{urlencode(present, errors='replace')}" if present else path


def matchers(**facts: str) -> str:
    """Return matchers for these labels."""
    return str(Matchers(Matcher(name, "=", value) for name, value in facts.items()))


def matchers_of(target: Key | Identity) -> str:
    """Return matchers for one dataplane."""
    one = Identity.of(target) if isinstance(target, Key) else target
    source = {"control_plane": one.control_plane} if one.control_plane else {}
    return matchers(mesh=one.mesh, dataplane=one.dataplane, **source)


FILTERS: dict[str, Callable[..., str]] = {
    "duration": duration,
    "ago": ago,
    "clock": clock,
    "iso": iso,
    "counted": counted,
    "size": size,
    "short": short,
}
