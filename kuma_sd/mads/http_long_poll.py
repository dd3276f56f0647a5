"""MADS v1 over HTTP: a request that is held until something changes, again and again."""

import logging
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlencode

import msgspec

from kuma_sd.core.errors import SourceError
from kuma_sd.http.client import HttpClient, HttpResponse
from kuma_sd.http.refused_statuses import refused
from kuma_sd.mads.codecs.v1_json import TYPE_URL, V1_JSON
from kuma_sd.mads.decoder import MadsResponse, foreign
from kuma_sd.mads.errors import ForeignError, GarbledError, NotServedThereError

_log = logging.getLogger(__name__)

PATH = "/v3/discovery:monitoringassignments"

MARGIN = 15.0
"""How much longer than the server may hold a request we wait for its answer, in seconds; as Prometheus does."""

SHORT_FETCH_TIMEOUT = 5.0

_START_OF_PAGE = 60

_OTHER_CLIENTS = "every MeshMetric names other clients than ours: compare clientId there with name here"


class _Message(msgspec.Struct):
    # Proto JSON: each field in one of two spellings.
    version_info: str = ""
    version_in_camel_case: str = msgspec.field(default="", name="versionInfo")
    type_url: str = ""
    type_in_camel_case: str = msgspec.field(default="", name="typeUrl")
    resources: list[msgspec.Raw] | None = None

    @property
    def version(self) -> str:
        return self.version_info or self.version_in_camel_case


_DECODER = msgspec.json.Decoder(_Message)


class LongPoll:
    """One connection: iterate for the responses, close from any thread.

    Args:
        client: asks the server.
        node_id: the client's name.
        fetch_timeout: how long the server may hold a request, in seconds.
        patience: how long the first answer may take, in seconds.
        min_interval: the least time between two requests, in seconds: a proxy that answers at once, or a replica with
            versions of its own, must not make us spin.
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

    @property
    def next_within(self) -> float:
        """How long the next answer may take, in seconds."""
        return self._min_interval + self._fetch_timeout + MARGIN

    def __iter__(self) -> Iterator[MadsResponse | None]:
        """Yield each response; None says that the server answered and nothing is new.

        Raises:
            NotServedThereError: the server has no MADS there.
            SourceError: it does not answer, or with something else.
        """
        version, held = "", False
        while not self._closing.is_set():
            started = time.monotonic()
            answer = self._poll(version)
            waited = time.monotonic() - started
            if answer.status == 304 and not version:  # noqa: PLR2004 (Not Modified)
                # Kuma 2.7 to 2.9 has made nothing for us; a set that is empty would have a version.
                raise SourceError(f"it has no assignments for the client {self._node_id!r}: {_OTHER_CLIENTS}")
            if answer.status == 304:  # noqa: PLR2004 (likewise)
                held = waited >= self._fetch_timeout * 0.9
                del answer
                yield None
            else:
                message, size = _parse(answer.body), len(answer.body)
                # Nothing of a large message may stay while the next one is awaited.
                del answer
                version = message.version
                response = MadsResponse(V1_JSON, map(bytes, message.resources or ()), size=size)
                del message
                self._notice_late(late=held and waited < self._min_interval)
                held = False
                yield response
                del response
            self._closing.wait(self._min_interval - (time.monotonic() - started))
        raise SourceError("the connection was closed")

    def close(self) -> None:
        """End the iteration; a thread that waits for an answer wakes at once."""
        self._closing.set()
        self._client.close()

    def _poll(self, version: str) -> HttpResponse:
        # The node must be there: without it Kuma 2.6 to 2.11 drops the connection (kumahq/kuma#13730). Fields that a
        # Kuma does not know would be refused.
        request = {
            "version_info": version,
            "node": {"id": self._node_id},
            "resource_names": [],
            "type_url": TYPE_URL,
            "response_nonce": "",
        }
        hold, timeout = self._fetch_timeout, self._fetch_timeout + MARGIN
        if not version:
            # Nothing is known yet, so that every Kuma that has anything for us answers at once.
            hold, timeout = min(hold, SHORT_FETCH_TIMEOUT), self._patience
        query = urlencode({"fetch-timeout": f"{round(hold * 1000)}ms"})
        answer = self._client.ask("POST", f"{PATH}?{query}", body=msgspec.json.encode(request), timeout=timeout)
        if answer.status not in (200, 304):
            raise refusal(answer)
        return answer

    def _notice_late(self, *, late: bool) -> None:
        """Poll more often when the server does not wake held requests, as Kuma 2.6 (kumahq/kuma#8764)."""
        self._late = self._late + 1 if late else 0
        if self._late == 2 and self._fetch_timeout > SHORT_FETCH_TIMEOUT:  # noqa: PLR2004 (once may be chance)
            self._fetch_timeout = SHORT_FETCH_TIMEOUT
            _log.info("changes come late, so requests are held for %g s only from now on", SHORT_FETCH_TIMEOUT)


def refusal(response: HttpResponse) -> SourceError:
    """Return the error that an HTTP status other than 200 and 304 means."""
    if response.status in (404, 405):
        return NotServedThereError(f"no MADS there (HTTP status {response.status})")
    if response.status == 500:  # noqa: PLR2004 (what Kuma answers when it has no snapshot for a client)
        return SourceError(
            "it cannot make assignments (HTTP status 500); from Kuma 2.7 on that is also its answer when "
            f"{_OTHER_CLIENTS}"
        )
    return refused(response)


def _parse(body: bytes) -> _Message:
    start = body[:_START_OF_PAGE].decode(errors="replace")
    try:
        message = _DECODER.decode(body)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise GarbledError(f"its answer is no MADS response ({error}); it begins with {start!r}") from error
    if problem := foreign(V1_JSON, message.type_url or message.type_in_camel_case, message.version):
        raise ForeignError(f"its answer is no MADS response ({problem}); it begins with {start!r}")
    return message
