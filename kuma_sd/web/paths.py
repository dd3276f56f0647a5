"""Which paths are whose. Apart from what answers them, so that settings are checked without loading it."""


def is_reserved(path: str) -> bool:
    """Tell whether a path is the daemon's own, whether or not something is there, so that no plugin may serve it."""
    return path in ("/", "/targets", "/explain", "/metrics") or path.startswith(("/-/", "/api/"))
