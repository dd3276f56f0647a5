"""Print names that the encoding of a terminal lacks, as in a locale of ISO-8859-1."""

import codecs
import io
import json
import sys

_ERRORS = "kuma-sd-escape"


def print_what_the_encoding_lacks_as_escapes() -> None:
    """Let stdout and stderr write such characters as escapes that JSON reads back, in place of an error."""
    codecs.register_error(_ERRORS, _escape)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)


def _escape(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end
