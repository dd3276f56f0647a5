"""What goes over the wires of a simulated control plane, counted so that tests can wait for it."""

import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace

import grpc

from kuma_sd.proto.discovery_pb2 import DiscoveryRequest


@dataclass(frozen=True)
class TrafficCounts:
    """What has happened since the control plane was made; restarts do not set it back.

    Args:
        streams: how many gRPC streams were opened, refused ones included.
        open: how many of them are open now.
        connections: how many connections over HTTP are open now.
        requests: how many requests came over either; ACKs and NACKs are among them.
        acks: how many of them accepted the last response of their stream.
        nacks: how many of them refused it.
        responses: how many responses with assignments were handed to the network.
        unchanged: how many requests over HTTP were answered by 304.
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
    """The counts, and what disturbs the traffic on purpose. All waiting is done on its one condition."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.counts = TrafficCounts()
        # The last ones are enough to look at, and a simulator may run for days.
        self.requests: deque[DiscoveryRequest] = deque(maxlen=1000)
        self.held = False
        self.refusal: tuple[grpc.StatusCode, str] | None = None
        # The clients that MeshMetrics name; None when there is one for everybody.
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
        """Wait until the counts are as they should be.

        Raises:
            TimeoutError: they were not in time; the message shows them.
        """
        with self.changed:
            if not self.changed.wait_for(lambda: condition(self.counts), timeout):
                raise TimeoutError(f"not so within {timeout:g} s; there were {self.counts}")
            return self.counts
