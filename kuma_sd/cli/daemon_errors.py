"""Say which settings led to a daemon that cannot be asked."""

import contextlib
from collections.abc import Iterator

from kuma_sd.web.client import DaemonError


@contextlib.contextmanager
def naming(source: str) -> Iterator[None]:
    """Add the settings to the error of a daemon that cannot be asked: they say where it listens.

    Args:
        source: where the settings come from.

    Raises:
        DaemonError: it was raised inside.
    """
    try:
        yield
    except DaemonError as error:
        error.remark(source)
        raise
