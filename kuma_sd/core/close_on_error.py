"""Close what was opened if the next step fails."""

import contextlib
from collections.abc import Iterator
from typing import Protocol


class _Closable(Protocol):
    def close(self) -> object: ...


@contextlib.contextmanager
def close_on_error(opened: _Closable) -> Iterator[None]:
    """Close what was opened if the block fails, whatever the error; otherwise it stays open.

    Args:
        opened: a file, a socket, or what else has ``close()``.
    """
    try:
        yield
    except BaseException:
        opened.close()
        raise
