"""MADS v1 over HTTP long polling: the server holds each request until something changes."""

import threading
import time
from collections.abc import Iterator
from urllib.parse import urlencode

import msgspec

from kuma_sd.core.errors import ConnectionClosedError, SourceError
from kuma_sd.core.logger import Logger
from kuma_sd.core.value_limits import most_resources
from kuma_sd.http.client import HttpClient, HttpResponse
from kuma_sd.http.refused_statuses import refused
from kuma_sd.mads.codecs.v1_json import TYPE_URL, V1_JSON
from kuma_sd.mads.decoder import MadsResponse
from kuma_sd.mads.errors import NotServedThereError
from kuma_sd.mads.http_response import parse

_log = Logger(__name__)

PATH = "/v3/discovery:monitoringassignments"

MARGIN = 15.0
"""How much longer than fetch-timeout to wait for a response, in seconds; as in Prometheus."""

SHORT_FETCH_TIMEOUT = 5.0

LEAST_FETCH_TIMEOUT = 1.0
"""A gateway that gives up sooner than after twice this time, in seconds, has another reason."""

_OTHER_CLIENTS = "every MeshMetric names other clients than ours: compare clientId there with name here"


class LongPoll:
    """One connection: iterate for the responses, close from any thread.

    Args:
        client: the HTTP client for the server.
        node_id: the client's name.
        fetch_timeout: how long the server may hold a request, in seconds.
        patience: timeout of the first response, in seconds.
        min_interval: minimum time between two requests, in seconds. It prevents a busy loop when a proxy responds at
            once, or replicas have different versions.
    """

    def __init__(
        self, client: HttpClient, node_id: str, fetch_timeout: float, patience: float, min_interval: float = 1.0
    ) -> None:
        self._client = client
        self._node_id = node_id
        self._fetch_timeout = fetch_timeout
        self._patience = patience
        self._min_interval = min_interval
        self._closing = threading.Event()
        self._late = 0
        self._most_resources = most_resources(client.max_size)

    @property
    def next_within(self) -> float:
        """Timeout of the next response, in seconds."""
        return self._min_interval + self._fetch_timeout + MARGIN

    def __iter__(self) -> Iterator[MadsResponse | None]:
        """Yield each response; None means that the server responded and nothing changed.

        Raises:
            NotServedThereError: the server serves no MADS at this address.
            SourceError: there is no response, or an invalid one.
        """
        version, held = "", False
        while not self._closing.is_set():
            started = time.monotonic()
            answer = self._poll(version)
            waited = time.monotonic() - started
            if answer.status == 304 and not version:  # noqa: PLR2004 (Not Modified)
                # Kuma 2.7 to 2.9 has no snapshot for this client yet; an empty set would have a version.
                raise SourceError(f"it has no assignments for the client {self._node_id!r}: {_OTHER_CLIENTS}")
            if answer.status == 304:  # noqa: PLR2004 (Not Modified)
                held = waited >= self._fetch_timeout * 0.9
                del answer
                yield None
            else:
                envelope, resources = parse(answer.body, self._most_resources)
                size = len(answer.body)
                # Free a large message before waiting for the next one.
                del answer
                version = envelope.version
                response = MadsResponse(V1_JSON, resources, size=size)
                del resources
                self._notice_late(late=held and waited < self._min_interval)
                held = False
                yield response
                del response
            self._closing.wait(self._min_interval - (time.monotonic() - started))
        raise ConnectionClosedError("the connection was closed", orderly=True)

    def close(self) -> None:
        """Close the connection; a thread that waits for a response wakes immediately."""
        self._closing.set()
        self._client.close()

    def _poll(self, version: str) -> HttpResponse:
        while True:
            asked = time.monotonic()
            answer = self._ask(version)
            gave_up = version and answer.status == 504  # noqa: PLR2004 (Gateway Timeout)
            if not (gave_up and self._hold_for_less(time.monotonic() - asked)):
                break
        if answer.status not in (200, 304):
            raise refusal(answer)
        return answer

    def _ask(self, version: str) -> HttpResponse:
        # Without the node, Kuma 2.6 to 2.11 drops the connection (kumahq/kuma#13730). Kuma refuses requests with
        # unknown fields.
        request = {
            "version_info": version,
            "node": {"id": self._node_id},
            "resource_names": [],
            "type_url": TYPE_URL,
            "response_nonce": "",
        }
        hold, timeout = self._fetch_timeout, self._fetch_timeout + MARGIN
        if not version:
            # The first request has no version, so every Kuma release with any targets responds immediately.
            hold, timeout = min(hold, SHORT_FETCH_TIMEOUT), self._patience
        query = urlencode({"fetch-timeout": f"{round(hold * 1000)}ms"})
        return self._client.ask("POST", f"{PATH}?{query}", body=msgspec.json.encode(request), timeout=timeout)

    def _hold_for_less(self, waited: float) -> bool:
        """Shorten the poll if a gateway gave up on it, as Envoy does after 15 s; tell whether it was shortened."""
        shorter = waited / 2
        if shorter < LEAST_FETCH_TIMEOUT or waited > self._fetch_timeout:
            return False
        self._fetch_timeout = shorter
        _log.info("a gateway gives up before fetch-timeout is over; polling with a shorter one", fetch_timeout=shorter)
        return True

    def _notice_late(self, *, late: bool) -> None:
        """Shorten the poll if the server does not answer held requests on changes, as Kuma 2.6 (kumahq/kuma#8764)."""
        self._late = self._late + 1 if late else 0
        if self._late == 2 and self._fetch_timeout > SHORT_FETCH_TIMEOUT:  # noqa: PLR2004 (one late change may be chance)
            self._fetch_timeout = SHORT_FETCH_TIMEOUT
            _log.info("changes arrive late; polling with a shorter fetch timeout", fetch_timeout=SHORT_FETCH_TIMEOUT)


def refusal(response: HttpResponse) -> SourceError:
    """Return the error for an HTTP status other than 200 and 304."""
    if response.status in (404, 405):
        return NotServedThereError(f"no MADS there (HTTP status {response.status})")
    if response.status == 500:  # noqa: PLR2004 (Kuma's status when it has no snapshot for a client)
        return SourceError(
            "it cannot make assignments (HTTP status 500); from Kuma 2.7 on that is also its answer when "
            f"{_OTHER_CLIENTS}"
        )
    return refused(response)
