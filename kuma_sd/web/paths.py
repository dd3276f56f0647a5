"""Classify URL paths. Separate from the endpoints, so that checking settings does not load them."""

import enum


class Lane(enum.Enum):
    """The kinds of requests, which never wait for each other."""

    STATUS = "metrics, health and control: always prompt"
    LISTS = "what plugins serve: prompt, unless many ask for many different lists"
    LONG = "pages, searches and downloads: one at a time"


_STATUS = ("/metrics", "/-/healthy", "/-/ready", "/-/accept", "/-/reload", "/api/status")


def is_reserved(path: str) -> bool:
    """Tell whether a path is reserved for the daemon, so that no plugin may serve it."""
    return path in ("/", "/targets", "/explain", "/metrics") or path.startswith(("/-/", "/api/"))


def lane_of(path: str) -> Lane:
    """Return the lane of requests for a path."""
    if path in _STATUS:
        return Lane.STATUS
    return Lane.LONG if is_reserved(path) else Lane.LISTS
