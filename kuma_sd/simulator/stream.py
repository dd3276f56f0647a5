"""Serve one MADS stream like Kuma: state of the world, and one response for each request."""

import random
from collections import deque
from collections.abc import Iterator, Sequence

import grpc

from kuma_sd.proto.discovery_pb2 import DiscoveryRequest
from kuma_sd.simulator.encoders import GrpcEncoder
from kuma_sd.simulator.snapshots import SnapshotCache, XdsSnapshot
from kuma_sd.simulator.traffic import Traffic


class Stream:
    """An open stream: iterating yields responses, while other threads add requests.

    A request gets its response as soon as the version differs from the one that it names: an ACK waits for a change, a
    NACK gets the same set again at once, and "" on a new stream gets the current set.

    Args:
        format_: encodes the responses.
        cache: holds the snapshots.
        traffic: counts the traffic, and decides what is delayed.
        stale: the first response, in place of the current snapshot.
        groups: whether assignments are selected by the client's name.
    """

    def __init__(
        self,
        format_: GrpcEncoder,
        cache: SnapshotCache,
        traffic: Traffic,
        stale: XdsSnapshot | None = None,
        *,
        groups: bool = False,
    ) -> None:
        self._format = format_
        self._cache = cache
        self._traffic = traffic
        self._changed = traffic.changed
        self._stale = stale
        self._groups = groups
        self._node_id: str | None = None
        self._nonce = 0
        self._sent = ""
        self._asked: str | None = None
        self._injected: deque[bytes] = deque()
        self._ended = False
        self.status = (grpc.StatusCode.OK, "")

    def receive(self, request: DiscoveryRequest) -> None:
        """Accept a request; one that refers to an older response is stale and ignored, as in Kuma."""
        with self._changed:
            self._traffic.took(request)
            # Later requests of a stream may leave it out.
            self._node_id = request.node.id if self._node_id is None else self._node_id
            current = not self._nonce or request.response_nonce == str(self._nonce)
            answers = current and self._nonce > 0
            refused = answers and (request.HasField("error_detail") or request.version_info != self._sent)
            self._traffic.count(acks=answers and not refused, nacks=refused)
            if current and request.type_url in ("", self._format.type_url):
                self._asked = request.version_info

    def inject(self, response: bytes) -> None:
        """Send bytes outside the normal protocol."""
        with self._changed:
            self._injected.append(response)
            self._changed.notify_all()

    def end(self, code: grpc.StatusCode = grpc.StatusCode.OK, details: str = "") -> None:
        """End the iteration; the first call sets the status."""
        with self._changed:
            if not self._ended:
                self._ended = True
                self.status = (code, details)
            self._changed.notify_all()

    def __iter__(self) -> Iterator[bytes]:
        while (response := self._next()) is not None:
            self._traffic.count(responses=1)
            yield response

    def _next(self) -> bytes | None:
        with self._changed:
            self._changed.wait_for(lambda: self._ended or self._injected or self._owes())
            if self._ended:
                return None
            if self._injected:
                return self._injected.popleft()
            snapshot = self._present
            self._stale = None
            self._asked = None
            self._sent = snapshot.version
            self._nonce += 1
        served = not self._groups or self._traffic.serves(self._node_id or "")
        resources = shuffled(snapshot.resources[self._format.transport]) if served else ()
        return self._format.response(snapshot.version, str(self._nonce), resources)

    def _owes(self) -> bool:
        return not self._traffic.held and self._asked is not None and self._asked != self._present.version

    @property
    def _present(self) -> XdsSnapshot:
        return self._stale or self._cache.snapshot


def shuffled(resources: Sequence[bytes]) -> Iterator[bytes]:
    """Yield resources in random order, as Kuma does; many resources only approximately, which is ten times faster."""
    count = min(len(resources), 1000)
    for start in random.sample(range(count), count):
        yield from resources[start::count]
