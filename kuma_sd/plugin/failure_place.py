"""Say where in a plugin's code an exception was raised, since its message alone does not help to find it."""

import os
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType

import pluggy

_LIBRARY = f"{Path(os.__file__).parent}/"
_INSTALLED = "/site-packages/", "/dist-packages/"
_NO_PLUGIN = "<", f"{Path(__file__).parents[1]}/", f"{Path(pluggy.__file__).parent}/"


def unexpected(error: BaseException) -> str:
    """Return the type of an exception, its message, and the last place in a plugin's code, like ``(watch.py, line 1)``.

    A syntax error names its place itself.
    """
    reason = f"{type(error).__name__}: {error}"
    places = [] if isinstance(error, SyntaxError) else list(_places(error.__traceback__))
    return f"{reason} {places[-1]}" if places else reason


def _places(trace: TracebackType | None) -> Iterator[str]:
    while trace:
        file = trace.tb_frame.f_code.co_filename
        if _is_plugin(file):
            yield f"({Path(file).name}, line {trace.tb_lineno})"
        trace = trace.tb_next


def _is_plugin(file: str) -> bool:
    if file.startswith(_NO_PLUGIN):
        return False
    return not file.startswith(_LIBRARY) or any(part in file for part in _INSTALLED)
