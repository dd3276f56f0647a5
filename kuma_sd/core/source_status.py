"""The status of a source's connection: what plugins report, and the part of it that operators see."""

from dataclasses import dataclass, replace

import msgspec


@dataclass(frozen=True, slots=True)
class SourceReport:
    """The part of a source's status that operators see.

    Args:
        connected: a connection is open and brought a response. The next response may be overdue, see `age()`.
        last_response: the time of the last response, in seconds of ``time.time()``; None before the first.
        protocol: the protocol of the current or last connection, like ``v1 gRPC``; empty before the first.
        why: why this protocol was chosen; may be empty.
        since: when the connection began, in seconds of ``time.time()``; None while not connected.
        responses: the number of responses so far, over all connections.
        received: the size of these responses, in bytes.
        parse_errors: the number of assignments, or whole responses, that could not be read so far.
        endpoint: the server that the connection leads to, like ``kuma.internal:5676``.
        note: anything unusual about the last response; empty if there is nothing.
    """

    connected: bool = False
    last_response: float | None = None
    protocol: str = ""
    why: str = ""
    since: float | None = None
    responses: int = 0
    received: int = 0
    parse_errors: int = 0
    endpoint: str = ""
    note: str = ""

    @property
    def details(self) -> str:
        """The endpoint, and why this protocol was chosen."""
        if not self.endpoint:
            return self.why
        return f"at {self.endpoint} ({self.why})" if self.why else f"at {self.endpoint}"


@dataclass(frozen=True, slots=True)
class SourceStatus(SourceReport):
    """The status of a source's connection; replaced whole, never changed. It has the fields of `SourceReport` too.

    Args:
        contact: the last moment in contact, in seconds of ``time.monotonic()``; None before the first.
        due: until when the connection may be silent, in seconds of ``time.monotonic()``; infinity if silence means no
            trouble, because something else shows that the peer is alive.
        awaiting: since when a first response is awaited, in seconds of ``time.monotonic()``; None while there is no
            attempt to connect.
    """

    contact: float | None = None
    due: float = float("inf")
    awaiting: float | None = None

    def age(self, now: float) -> float | None:
        """Return the seconds since the last moment in contact: 0 while in contact, None if there was none.

        Args:
            now: the current time, in seconds of ``time.monotonic()``.
        """
        if self.connected and now <= self.due:
            return 0.0
        return None if self.contact is None else max(0.0, now - self.contact)

    def silence(self, now: float) -> float:
        """Return for how long a response has been overdue, in seconds; 0 if none is.

        Args:
            now: the current time, in seconds of ``time.monotonic()``.
        """
        if self.awaiting is not None:
            return max(0.0, now - self.awaiting)
        return (self.age(now) or 0.0) if self.connected else 0.0

    def report(self, monotonic: float, now: float) -> SourceReport:
        """Return what operators see. While in contact, the last response is now.

        Args:
            monotonic: the current time, in seconds of ``time.monotonic()``.
            now: the current time, in seconds of ``time.time()``.
        """
        in_contact = self.age(monotonic) == 0
        seen = replace(
            self,
            connected=in_contact,
            since=self.since if self.connected else None,
            last_response=now if in_contact else self.last_response,
        )
        return msgspec.convert(seen, SourceReport, from_attributes=True)
