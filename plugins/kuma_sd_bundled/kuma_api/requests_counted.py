"""Request documents from an API server, and count requests and bytes."""

import time

import msgspec

from kuma_sd import UNREADABLE, HttpClient, SourceError, refused
from kuma_sd_bundled.kuma_api.errors import DeletedError, NotFoundError

ANSWER_TIMEOUT_SECONDS = 30.0
"""Initial timeout for a page, in seconds."""

LONGEST_TIMEOUT_SECONDS = 300.0
"""Maximum timeout for a page, after responses that did not come in time, in seconds."""

_OK = 200
_NOT_FOUND = 404


class _ErrorDocument(msgspec.Struct):
    """What Kuma says about a missing resource: a type of its own, or, in older releases, a title and details alone."""

    type: str = ""
    title: str = ""
    details: str = ""


_ERROR = msgspec.json.Decoder(_ErrorDocument)


class CountedRequests:
    """Sends requests over one connection.

    Args:
        client: the HTTP client.
        timeout: the timeout for a page, in seconds.
    """

    def __init__(self, client: HttpClient, timeout: float = ANSWER_TIMEOUT_SECONDS) -> None:
        self._client = client
        self._timeout = timeout
        self.silent = False
        """Whether a response did not come in time."""
        self.requests = 0
        self.received = 0
        self.answered_seconds = 0.0

    def __call__(self, path: str) -> bytearray:
        """Request a path and return the body of the response.

        Raises:
            NotFoundError: the server has no such document; DeletedError if it is Kuma that says so.
            SourceError: there is no response, or the server refused the request.
        """
        began = time.monotonic()
        self.requests += 1
        try:
            response = self._client.ask("GET", path, timeout=self._timeout)
        except SourceError:
            self.silent = time.monotonic() - began >= self._timeout
            raise
        self.answered_seconds += time.monotonic() - began
        self.received += len(response.body)
        if response.status == _NOT_FOUND:
            kind = DeletedError if _is_error_of_kuma(response.body) else NotFoundError
            raise kind(f"the API has no {path.partition('?')[0]} (HTTP status 404)")
        if response.status != _OK:
            raise _explained(refused(response), path)
        return response.body


def _explained(error: SourceError, path: str) -> SourceError:
    return SourceError(f"{path.partition('?')[0]}: {error}", error.retry_after)


def _is_error_of_kuma(body: bytearray) -> bool:
    try:
        error = _ERROR.decode(body)
    except UNREADABLE:
        return False
    return error.type == "/std-errors" or bool(not error.type and error.title and error.details)
