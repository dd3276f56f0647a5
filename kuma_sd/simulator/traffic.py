"""Count the traffic of a simulated control plane, so that tests can wait for it."""

import threading
from collections import deque
from collections.abc import Callable

import grpc
import msgspec
from msgspec.structs import replace

from kuma_sd.proto.discovery_pb2 import DiscoveryRequest


class TrafficCounts(msgspec.Struct, frozen=True):
    """The traffic since the control plane was created; restarts do not reset it.

    Args:
        streams: the number of gRPC streams opened, refused ones included.
        open: the number of streams open now.
        connections: the number of HTTP connections open now.
        requests: the number of requests over both, ACKs and NACKs included.
        acks: the number of requests that accepted the last response of their stream.
        nacks: the number of requests that refused it.
        responses: the number of responses with assignments that were sent.
        unchanged: the number of HTTP requests answered with 304.
    """

    streams: int = 0
    open: int = 0
    connections: int = 0
    requests: int = 0
    acks: int = 0
    nacks: int = 0
    responses: int = 0
    unchanged: int = 0


class Traffic:
    """The counts, and the disturbances that tests set. All threads wait on its one condition."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.counts = TrafficCounts()
        # The last ones are enough to look at, and a simulator may run for days.
        self.requests: deque[DiscoveryRequest] = deque(maxlen=1000)
        self.held = False
        self.refusal: tuple[grpc.StatusCode, str] | None = None
        # The clients that MeshMetrics name; None if there is one MeshMetric for all clients.
        self.clients: frozenset[str] | None = None

    def serves(self, node_id: str) -> bool:
        """Whether there are assignments for a client."""
        return self.clients is None or node_id in self.clients

    def took(self, request: DiscoveryRequest) -> None:
        """Count a request and remember it."""
        with self.changed:
            self.requests.append(request)
            self.count(requests=1)

    def count(self, **increments: int) -> None:
        """Add to counts and wake those who wait for them."""
        with self.changed:
            self.counts = replace(
                self.counts, **{name: getattr(self.counts, name) + more for name, more in increments.items()}
            )
            self.changed.notify_all()

    def wait_for(self, condition: Callable[[TrafficCounts], bool], timeout: float) -> TrafficCounts:
        """Wait until the counts fulfil a condition.

        Raises:
            TimeoutError: the condition was not fulfilled in time; the message shows the counts.
        """
        with self.changed:
            if not self.changed.wait_for(lambda: condition(self.counts), timeout):
                raise TimeoutError(f"not so within {timeout:g} s; there were {self.counts}")
            return self.counts
