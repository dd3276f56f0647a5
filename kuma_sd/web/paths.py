"""Which paths are whose. Apart from what answers them, so that settings are checked without loading it."""


def is_reserved(path: str) -> bool:
    """Tell whether a path is the daemon's own, whether or not something is there, so that no plugin may serve it."""
    return path in ("/", "/targets", "/explain", "/metrics") or path.startswith(("/-/", "/api/"))


PROMPT = ("/metrics", "/-/healthy", "/-/ready", "/-/accept", "/-/reload", "/api/status")
"""Those of the daemon's own that are answered at once, whatever else is asked for."""


def takes_long(path: str) -> bool:
    """Tell whether an answer may take long, so that others must not wait for it: pages, searches and downloads."""
    return is_reserved(path) and path not in PROMPT
