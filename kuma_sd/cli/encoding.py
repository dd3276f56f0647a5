"""Handle characters that the terminal's encoding lacks, as in an ISO-8859-1 locale."""

import codecs
import io
import sys

_ERRORS = "kuma-sd-escape"


def print_what_the_encoding_lacks_as_escapes() -> None:
    """Make stdout and stderr write unsupported characters as JSON escapes instead of failing."""
    codecs.register_error(_ERRORS, _escape)
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors=_ERRORS)


def _escape(error: UnicodeError) -> tuple[str, int]:
    import json  # noqa: PLC0415 (late, since most encodings lack nothing)

    assert isinstance(error, UnicodeEncodeError)
    return json.dumps(error.object[error.start : error.end])[1:-1], error.end
