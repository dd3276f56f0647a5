"""Find the place in a plugin's code where an exception was raised, or where a thread is."""

import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import FrameType, TracebackType

import pluggy

_LIBRARY = f"{Path(os.__file__).parent}/"
_INSTALLED = "/site-packages/", "/dist-packages/"
_NO_PLUGIN = "<", f"{Path(__file__).parents[1]}/", f"{Path(pluggy.__file__).parent}/"


def unexpected(error: BaseException) -> str:
    """Return the type of an exception, its message, and the last place in a plugin's code, like ``(watch.py, line 1)``.

    A syntax error names its place itself.
    """
    reason = f"{type(error).__name__}: {error}"
    places = [] if isinstance(error, SyntaxError) else list(_raised(error.__traceback__))
    return f"{reason} ({places[-1]})" if places else reason


def current_place(name: str) -> str:
    """Return the place in a plugin's code where a thread is now, like ``watch.py, line 1``; empty if in none.

    Args:
        name: the name of the thread.
    """
    frames = sys._current_frames()  # noqa: SLF001 (public, in spite of its name)
    threads = (thread.ident for thread in threading.enumerate() if thread.name == name)
    return next((place for ident in threads if ident for place in _called(frames.get(ident))), "")


def _raised(trace: TracebackType | None) -> Iterator[str]:
    while trace:
        yield from _place(trace.tb_frame, trace.tb_lineno)
        trace = trace.tb_next


def _called(frame: FrameType | None) -> Iterator[str]:
    while frame:
        yield from _place(frame, frame.f_lineno)
        frame = frame.f_back


def _place(frame: FrameType, line: int) -> Iterator[str]:
    if _is_plugin(frame.f_code.co_filename):
        yield f"{Path(frame.f_code.co_filename).name}, line {line}"


def _is_plugin(file: str) -> bool:
    if file.startswith(_NO_PLUGIN):
        return False
    return not file.startswith(_LIBRARY) or any(part in file for part in _INSTALLED)
