"""Endpoint that explains why a target is published as it is, or not at all."""

from collections.abc import Callable

import msgspec

from kuma_sd.telemetry.explanation import SearchResult
from kuma_sd.web.application import Application, Refused, Request, Response
from kuma_sd.web.control_limits import LARGEST_ANSWER

DEFAULT_LIMIT = 10
"""Default number of explained targets."""

LARGEST_LIMIT = 1000
"""Maximum number of explained targets; an offset returns the next ones."""

Explain = Callable[[str, str, int, int], SearchResult]
"""Takes a selector, an output's name (empty for all), a limit and an offset."""


def add_inspection(application: Application, explain: Explain) -> None:
    """Add ``GET /-/explain``, which returns a `SearchResult` as JSON.

    Args:
        application: the application to add it to.
        explain: finds and explains targets; called in a listener's thread. It raises ConfigError if the selector is
            invalid or there is no such output.
    """

    def answer(request: Request) -> Response:
        query = request.query
        if "selector" not in query:
            raise Refused(400, "selector is missing from the query")
        limit, offset = _number(query.get("limit", str(DEFAULT_LIMIT))), _number(query.get("offset", "0"))
        if not 1 <= limit <= LARGEST_LIMIT:
            raise Refused(400, f"limit must be from 1 to {LARGEST_LIMIT}")
        body = msgspec.json.encode(explain(query["selector"], query.get("output", ""), limit, offset))
        if len(body) > LARGEST_ANSWER:
            raise Refused(400, f"the answer is larger than {LARGEST_ANSWER >> 20} MiB; ask with a smaller limit")
        return Response(body + b"\n", content_type="application/json")

    application.add("GET", "/-/explain", answer, query=["selector", "output", "limit", "offset"])


def _number(text: str) -> int:
    # Limit the digits before int() parses them.
    if not (text.isascii() and text.isdecimal() and len(text) < 10):  # noqa: PLR2004 (the limit above)
        raise Refused(400, f"{text!r} is no whole number")
    return int(text)
