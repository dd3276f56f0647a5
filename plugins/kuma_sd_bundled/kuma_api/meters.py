"""Metrics of polling the API."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from prometheus_client.core import Metric


@dataclass(frozen=True)
class PollCounts:
    """Counts of polling so far; replaced whole, never changed.

    Args:
        polls: the number of finished polls.
        requests: the number of requests.
        received: the number of bytes received.
        seconds: the duration of the last poll; None before the first.
        size: the number of bytes received in the last poll; None before the first.
        inconsistent: the number of polls with inconsistent lists.
        converted: the number of dataplanes converted.
    """

    polls: int = 0
    requests: int = 0
    received: int = 0
    seconds: float | None = None
    size: int | None = None
    inconsistent: int = 0
    converted: int = 0


class ApiMeters:
    """Collects the counts as metrics, for prometheus_client.

    Args:
        name: the control plane's name; empty for the only one.
        read: returns the current counts; called in any thread.
    """

    def __init__(self, name: str, read: Callable[[], PollCounts]) -> None:
        self._labels = {"control_plane": name}
        self._read = read

    def collect(self) -> Iterator["Metric"]:
        """Yield the current values."""
        # Imported late: the caller has already loaded it.
        from prometheus_client.core import Metric  # noqa: PLC0415

        counts = self._read()
        values = [
            ("poll_duration_seconds", "gauge", "How long the last poll of the API took.", counts.seconds),
            ("poll_size_bytes", "gauge", "How many bytes the last poll of the API had.", counts.size),
            ("polls", "counter", "Polls of the API that were finished.", counts.polls),
            ("inconsistent_polls", "counter", "Polls whose lists did not fit together.", counts.inconsistent),
            ("requests", "counter", "Requests to the API.", counts.requests),
            ("received_bytes", "counter", "Bytes that the API answered.", counts.received),
            ("converted_dataplanes", "counter", "Dataplanes that were new or had changed.", counts.converted),
        ]
        for name, kind, text, value in values:
            if value is not None:
                metric = Metric(f"kuma_sd_api_{name}", text, kind)
                ending = "_total" if kind == "counter" else ""
                metric.add_sample(f"kuma_sd_api_{name}{ending}", self._labels, float(value))
                yield metric
