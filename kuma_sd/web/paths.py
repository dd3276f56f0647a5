"""Classify URL paths. Separate from the endpoints, so that checking settings does not load them."""


def is_reserved(path: str) -> bool:
    """Tell whether a path is reserved for the daemon, so that no plugin may serve it."""
    return path in ("/", "/targets", "/explain", "/metrics") or path.startswith(("/-/", "/api/"))


PROMPT = ("/metrics", "/-/healthy", "/-/ready", "/-/accept", "/-/reload", "/api/status")
"""The daemon's paths that are always answered promptly."""


def takes_long(path: str) -> bool:
    """Tell whether a response may take long (pages, searches, downloads), so that others must not wait for it."""
    return is_reserved(path) and path not in PROMPT
