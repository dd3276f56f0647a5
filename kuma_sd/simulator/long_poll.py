"""Serve MADS v1 over HTTP: a request waits until the version that it names is no longer the current one."""

import json
import time
from urllib.parse import parse_qs

from google.protobuf.json_format import Parse, ParseError

from kuma_sd.proto.discovery_pb2 import DiscoveryRequest
from kuma_sd.simulator.durations import parse_duration
from kuma_sd.simulator.encoders import HttpV1
from kuma_sd.simulator.http_server import JSON, ServerRequest, ServerResponse
from kuma_sd.simulator.kuma_versions import KumaVersion, Strangers
from kuma_sd.simulator.snapshots import SnapshotCache, XdsSnapshot
from kuma_sd.simulator.stream import shuffled
from kuma_sd.simulator.traffic import Traffic

_DEFAULT_FETCH_TIMEOUT = 30.0

# HTTP statuses of gRPC statuses.
_HTTP_STATUS = {"UNAUTHENTICATED": 401, "PERMISSION_DENIED": 403, "RESOURCE_EXHAUSTED": 429, "INTERNAL": 500}


class LongPollServer:
    """Answers requests for monitoring assignments.

    Args:
        format_: writes the responses.
        cache: holds the snapshots.
        traffic: counts the traffic, and decides what is delayed or refused.
        line: the Kuma version to simulate.
    """

    def __init__(self, format_: HttpV1, cache: SnapshotCache, traffic: Traffic, line: KumaVersion) -> None:
        self._format = format_
        self._cache = cache
        self._traffic = traffic
        self._line = line
        self._first_client: str | None = None

    def __call__(self, request: ServerRequest) -> ServerResponse | None:
        """Answer a request; None ends the connection."""
        refused = self._refusal(request)
        if refused:
            return refused
        try:
            timeout = _fetch_timeout(request)
        except ValueError as error:
            return _error(400, "Could not parse fetch-timeout", str(error))
        try:
            asked = _parse(request.body)
        except (ParseError, UnicodeDecodeError) as error:
            return _error(400, "Could not parse request body", str(error))
        if self._line.node_required and not asked.HasField("node"):
            return None
        return self._fetch(asked, timeout)

    def _refusal(self, request: ServerRequest) -> ServerResponse | None:
        if request.path != HttpV1.path:
            return not_found()
        if request.method != "POST":
            return ServerResponse(405, [b"405: Method Not Allowed"])
        if request.headers.get_content_type() != JSON or "Content-Type" not in request.headers:
            return ServerResponse(415, [b"415: Unsupported Media Type"])
        accepted = request.headers.get("Accept", "*/*")
        if not any(kind in accepted for kind in ("*/*", "application/*", JSON)):
            return ServerResponse(406, [b"406: Not Acceptable"])
        if self._traffic.refusal:
            code, details = self._traffic.refusal
            return _error(_HTTP_STATUS.get(code.name, 503), "Could not fetch MonitoringAssignments", details)
        return None

    def _fetch(self, asked: DiscoveryRequest, timeout: float) -> ServerResponse | None:
        self._traffic.took(asked)
        self._first_client = self._first_client or asked.node.id
        strangers = self._line.strangers
        stranger = strangers is not Strangers.ALL and not self._traffic.serves(asked.node.id)
        has_snapshot = not stranger or strangers is Strangers.EMPTY
        snapshot = self._wait(asked, timeout, has_snapshot=has_snapshot)
        if self._cache.closed:
            return None
        if not has_snapshot and (timeout <= 0 or strangers is Strangers.ERROR):
            return _error(500, "Could not fetch MonitoringAssignments", "Internal Server Error")
        if snapshot is None:
            self._traffic.count(unchanged=1)
            return ServerResponse(304)
        self._traffic.count(responses=1)
        resources = () if stranger else shuffled(snapshot.resources[self._format.transport])
        return ServerResponse(200, self._format.pieces(snapshot.version, resources))

    def _wait(self, asked: DiscoveryRequest, timeout: float, *, has_snapshot: bool) -> XdsSnapshot | None:
        """Wait for another version than the client's; None after the timeout."""
        deadline = time.monotonic() + timeout
        wakes = self._line.wakes_all or asked.node.id == self._first_client
        self._cache.use(self._format)
        looks = 0
        with self._traffic.changed:
            while not self._cache.closed:
                looks += 1
                snapshot, remaining = self._cache.snapshot, deadline - time.monotonic()
                held = self._traffic.held
                differs = has_snapshot and snapshot.version != asked.version_info
                if not held and differs and (wakes or looks == 1):
                    return snapshot
                if not held and remaining <= 0:
                    return None
                self._traffic.changed.wait(None if held else remaining)
        return None


def not_found() -> ServerResponse:
    """Return Kuma's response for an unknown path."""
    return ServerResponse(404, [b"404: Page Not Found"])


def _fetch_timeout(request: ServerRequest) -> float:
    [text] = parse_qs(request.query).get("fetch-timeout", [""])[:1]
    return parse_duration(text) if text else _DEFAULT_FETCH_TIMEOUT


def _parse(body: bytes) -> DiscoveryRequest:
    # The library accepts an empty list as an empty message.
    if not body.lstrip().startswith(b"{"):
        raise ParseError("not an object")
    return Parse(body.decode(), DiscoveryRequest())


def _error(status: int, title: str, details: str) -> ServerResponse:
    return ServerResponse(status, [json.dumps({"title": title, "details": details}).encode()], JSON)
