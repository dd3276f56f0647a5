"""Connect to the first replica that responds."""

import queue
import threading
import time
from collections.abc import Callable, Iterator, Sequence

from kuma_sd.core.errors import KumaSDError, SourceError, without_frames
from kuma_sd.http.address import Endpoint
from kuma_sd.mads.decoder import MadsResponse
from kuma_sd.mads.negotiation import Negotiation

HEAD_START = 3.0
"""Without a response for this many seconds, the next replica is tried in parallel; Kuma 1 responds after one."""

RETRY_SECONDS = 5.0
"""After this many seconds a failed replica is tried again, while another has not responded yet."""


class Attempt:
    """A connection attempt to one replica in its own thread, until the replica responds or fails.

    Args:
        replica: its endpoint.
        negotiation: chooses the protocol.
        ended: the queue that receives the attempt when it succeeded or failed.
    """

    def __init__(self, replica: Endpoint, negotiation: Negotiation, ended: "queue.SimpleQueue[Attempt | None]") -> None:
        self.replica = replica
        self.negotiation = negotiation
        self.error: Exception | None = None
        self._ended = ended
        self._responses = iter(negotiation)
        self._first: list[MadsResponse | None] = []

    def start(self) -> None:
        """Start to connect."""
        threading.Thread(target=self._run, name=f"connect {self.replica}", daemon=True).start()

    def __iter__(self) -> Iterator[MadsResponse | None]:
        """Yield the responses, in the calling thread; call once, after the attempt succeeded."""
        yield self._first.pop()
        yield from self._responses

    def _run(self) -> None:
        try:
            self._first.append(next(self._responses))
        except StopIteration:
            self.error = SourceError("it ended the stream")
        except KumaSDError as error:
            self.error = without_frames(error)
        except Exception as error:  # noqa: BLE001 (raised again in the waiting thread)
            self.error = error
        self._ended.put(self)


class Failover:
    """Connects to one of several replicas, once.

    Replicas are tried in turn. If one does not respond within a head start, the next is tried in parallel, and failed
    ones are tried again meanwhile.

    Args:
        replicas: their endpoints, in the order in which to try them.
        negotiate: creates the negotiation with one of them.
    """

    def __init__(self, replicas: Sequence[Endpoint], negotiate: Callable[[Endpoint], Negotiation]) -> None:
        self._negotiate = negotiate
        self._lock = threading.Lock()
        self._closed = False
        self._ended: queue.SimpleQueue[Attempt | None] = queue.SimpleQueue()
        self._running: dict[Endpoint, Attempt] = {}
        self._failures: dict[Endpoint, SourceError] = {}
        now = time.monotonic()
        # The time of the next attempt for each replica without a running one, in the order of the first attempts.
        self._due = {replica: now + place * HEAD_START for place, replica in enumerate(replicas)}

    def connect(self) -> Attempt:
        """Return the attempt that gets a response first, and close the others.

        Raises:
            SourceError: all failed.
        """
        while True:
            self._start_due(time.monotonic())
            attempt = self._wait(min(self._due.values(), default=None))
            if attempt and attempt.error is None:
                self._cut(but=attempt)
                return attempt
            if attempt:
                self._failed(attempt, time.monotonic())

    def close(self) -> None:
        """Close all attempts, also the successful one, from any thread."""
        with self._lock:
            self._closed = True
        self._cut()
        self._ended.put(None)

    def _start_due(self, now: float) -> None:
        for replica in [replica for replica, due in self._due.items() if due <= now]:
            del self._due[replica]
            attempt = Attempt(replica, self._negotiate(replica), self._ended)
            with self._lock:
                if self._closed:
                    return
                self._running[replica] = attempt
            attempt.start()

    def _wait(self, until: float | None) -> Attempt | None:
        """Wait for an attempt to end and return it; None when it is time to try another replica."""
        try:
            attempt = self._ended.get(timeout=None if until is None else max(0.0, until - time.monotonic()))
        except queue.Empty:
            return None
        if self._closed or attempt is None:
            raise SourceError("the connection was closed")
        return attempt

    def _failed(self, attempt: Attempt, now: float) -> None:
        """Start the next attempt.

        Raises:
            SourceError: all replicas failed.
        """
        with self._lock:
            del self._running[attempt.replica]
        if not isinstance(attempt.error, SourceError):
            self._cut()
            raise attempt.error or AssertionError
        self._failures[attempt.replica] = attempt.error
        untried = [replica for replica in self._due if replica not in self._failures]
        if untried:
            self._due[untried[0]] = now
        elif not self._running:
            raise _united(list(self._failures.values()))
        self._due[attempt.replica] = now + RETRY_SECONDS

    def _cut(self, but: Attempt | None = None) -> None:
        with self._lock:
            attempts = [attempt for attempt in self._running.values() if attempt is not but]
        for attempt in attempts:
            attempt.negotiation.close()


def _united(errors: Sequence[SourceError]) -> SourceError:
    """Return one error for all replicas."""
    if len(errors) == 1:
        return errors[0]
    # Retry when the first of them allows it.
    return SourceError("; ".join(map(str, errors)), min(error.retry_after for error in errors))
