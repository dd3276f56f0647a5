"""Request documents from an API server, and count requests and bytes."""

import time

from kuma_sd import HttpClient, SourceError, refused
from kuma_sd_bundled.kuma_api.errors import NotFoundError

ANSWER_TIMEOUT_SECONDS = 30.0
"""Initial timeout for a page, in seconds."""

LONGEST_TIMEOUT_SECONDS = 300.0
"""Maximum timeout for a page, after responses that did not come in time, in seconds."""

_OK = 200
_NOT_FOUND = 404


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
            NotFoundError: the server has no such document.
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
            raise NotFoundError(f"the API has no {path.partition('?')[0]} (HTTP status 404)")
        if response.status != _OK:
            raise _explained(refused(response), path)
        return response.body


def _explained(error: SourceError, path: str) -> SourceError:
    return SourceError(f"{path.partition('?')[0]}: {error}", error.retry_after)
