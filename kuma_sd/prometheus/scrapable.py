"""Refuse targets that Prometheus would refuse: it rejects the whole file or response for one of them.

Follows `PopulateLabels` in scrape/target.go and `CheckTargetAddress` in config/config.go of Prometheus 2.29 to 3.14.
"""

import re

from kuma_sd.core.errors import TransformError
from kuma_sd.core.model import Labels

INTERVAL, TIMEOUT = "__scrape_interval__", "__scrape_timeout__"

# As model.ParseDuration in prometheus/common: each unit at most once, from the largest to the smallest.
_DURATION = r"(?:([0-9]+)y)?(?:([0-9]+)w)?(?:([0-9]+)d)?(?:([0-9]+)h)?(?:([0-9]+)m)?(?:([0-9]+)s)?(?:([0-9]+)ms)?"

_MILLISECONDS = (31_536_000_000, 604_800_000, 86_400_000, 3_600_000, 60_000, 1000, 1)

_LONGEST = (2**63 - 1) // 1_000_000
"""Maximum duration in milliseconds: Go counts nanoseconds in 63 bits."""


def check_scrapable(labels: Labels) -> None:
    """Refuse a label set that Prometheus would refuse with any configuration.

    Args:
        labels: the labels with ``__address__``; all values are texts.

    Raises:
        TransformError: Prometheus would refuse it.
    """
    check_address(labels["__address__"], labels.get("__scheme__", ""))
    if INTERVAL in labels or TIMEOUT in labels:
        _check_durations(labels.get(INTERVAL, ""), labels.get(TIMEOUT, ""))


def check_address(address: str, scheme: str) -> None:
    """Refuse an address that Prometheus would refuse.

    Args:
        address: the value of ``__address__``.
        scheme: the value of ``__scheme__``; empty if there is none.

    Raises:
        TransformError: Prometheus would refuse it.
    """
    if "/" in address:
        raise TransformError(
            f"Prometheus takes no address with a scheme or path: {address!r}; put these into __scheme__ and "
            "__metrics_path__"
        )
    # Prometheus 2 adds the port of the scheme to an address without one, and supports only these two schemes.
    if scheme not in ("", "http", "https") and not _has_port(address):
        raise TransformError(f"Prometheus knows no port for the scheme {scheme!r} of {address!r}")


def _has_port(address: str) -> bool:
    return ":" in address[address.rfind("]") + 1 :]


def _check_durations(interval: str, timeout: str) -> None:
    lengths = {name: _length(name, text) for name, text in ((INTERVAL, interval), (TIMEOUT, timeout)) if text}
    if lengths.get(TIMEOUT, 0) > lengths.get(INTERVAL, _LONGEST):
        raise TransformError(f"Prometheus takes no {TIMEOUT} longer than {INTERVAL}: {timeout!r} and {interval!r}")


def _length(name: str, text: str) -> int:
    found = re.fullmatch(_DURATION, text)
    length = (
        sum(int(count or 0) * unit for count, unit in zip(found.groups(), _MILLISECONDS, strict=True)) if found else 0
    )
    if not 0 < length <= _LONGEST:
        raise TransformError(f"Prometheus takes {name} only as a duration like 30s or 1m30s, not {text!r}")
    return length
