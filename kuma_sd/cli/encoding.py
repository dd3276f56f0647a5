"""Handle characters that a terminal must not get, or that its encoding lacks, as in an ISO-8859-1 locale.

This is a property of the standard streams, not of what is printed: no command, log line or traceback can forget it.
"""

import codecs
import io
import re
import sys

from kuma_sd.cli.render.style import COLOURS

_PREFIX = "kuma_sd_printable_"
_ERRORS = "kuma-sd-escape"

_SUSPECT = re.compile(rf"{COLOURS}|[^\n\t -~]+")
"""Our own colours, which pass, and all that may be no printable character."""


def print_only_what_is_printable() -> None:
    """Make stdout and stderr write characters that are not printable, or not in their encoding, as JSON escapes.

    Control characters, also those above ASCII, command a terminal; format characters reverse the order of what follows.
    JSON keeps its content, since such characters are in strings only.
    """
    codecs.register_error(_ERRORS, _escape_error)
    codecs.register(_find)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper) and not stream.encoding.startswith(_PREFIX):
            stream.reconfigure(encoding=_PREFIX + stream.encoding, errors=_ERRORS)


class _Encoder(codecs.IncrementalEncoder):
    """Encodes the printable characters of a text by another encoding."""

    encoding = ""

    def encode(self, text: str, final: bool = False) -> bytes:  # noqa: ARG002, FBT001, FBT002 (as the base class has it)
        return _SUSPECT.sub(_escape, text).encode(self.encoding, self.errors)


def _find(name: str) -> codecs.CodecInfo | None:
    """Find the encoding of a name, as `codecs.register` wants it."""
    if not name.startswith(_PREFIX):
        return None
    original = codecs.lookup(name.removeprefix(_PREFIX))

    class Encoder(_Encoder):
        encoding = original.name

    return codecs.CodecInfo(
        original.encode, original.decode, incrementalencoder=Encoder, incrementaldecoder=original.incrementaldecoder
    )


def _escape(found: re.Match[str]) -> str:
    from kuma_sd.system.log_format import escape  # noqa: PLC0415 (late, since logging loads slowly, and most is ASCII)

    text = found[0]
    return text if text.startswith("\x1b[") else escape(text)


def _escape_error(error: UnicodeError) -> tuple[str, int]:
    import json  # noqa: PLC0415 (late, since most encodings lack nothing)

    assert isinstance(error, UnicodeEncodeError)
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end
