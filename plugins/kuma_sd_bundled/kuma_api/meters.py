"""Metrics of polling the API."""

from dataclasses import dataclass

from kuma_sd import Metric


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


METRICS: tuple[Metric[PollCounts], ...] = (
    Metric("api_poll_duration_seconds", "How long the last poll of the API took.", lambda counts: counts.seconds),
    Metric("api_poll_size_bytes", "How many bytes the last poll of the API had.", lambda counts: counts.size),
    Metric("api_polls_total", "Polls of the API that were finished.", lambda counts: counts.polls),
    Metric("api_inconsistent_polls_total", "Polls with inconsistent lists.", lambda counts: counts.inconsistent),
    Metric("api_requests_total", "Requests to the API.", lambda counts: counts.requests),
    Metric("api_received_bytes_total", "Bytes that the API answered.", lambda counts: counts.received),
    Metric(
        "api_converted_dataplanes_total", "Dataplanes that were new or had changed.", lambda counts: counts.converted
    ),
)
