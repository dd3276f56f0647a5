"""Foresee why files could not be written, for `kuma-sd check`."""

from collections.abc import Callable, Iterator

from kuma_sd import ConfigError, OutputError, check_claim, check_group, check_output_path
from kuma_sd_bundled.file_sd.layout import Layout


def failures_of(layout: Layout, *, as_daemon: bool) -> Iterator[ConfigError]:
    """Yield why files could not be claimed or replaced; nothing is made, locked or changed.

    Args:
        layout: the files of the output.
        as_daemon: whether this user is the daemon's; if not, what another user may write cannot be told.
    """
    yield from _attempt("path", lambda: _check_paths(layout, as_daemon=as_daemon))
    yield from _attempt("group", lambda: check_group(layout.options.group, as_daemon=as_daemon))


def _check_paths(layout: Layout, *, as_daemon: bool) -> None:
    if layout.has_parts:
        # The record of the parts has the longest name.
        check_output_path(layout.record)
    for path in (*layout.claimed, *map(layout.path, layout.places(layout.parts))):
        if as_daemon:
            check_claim(path)
        else:
            check_output_path(path)


def _attempt(option: str, check: Callable[[], None]) -> Iterator[ConfigError]:
    try:
        check()
    except OutputError as error:
        yield ConfigError(str(error), option=option)
