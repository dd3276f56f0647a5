"""Which protocol to speak. Found by answers, never by port or error text, and anew for each connection.

Control planes are upgraded and rolled back underneath us, so nothing is remembered from one connection to the next.
"""

import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import NamedTuple, Protocol

from kuma_sd.core.errors import SourceError
from kuma_sd.http.access import Access
from kuma_sd.http.address import Endpoint
from kuma_sd.http.errors import TooLargeError
from kuma_sd.mads.decoder import MadsResponse
from kuma_sd.mads.errors import NotImplementedThereError, NotServedThereError, UnreachableError
from kuma_sd.mads.plugin import MadsOptions


class Closable(Protocol):
    """What may block, and can be cut."""

    def close(self) -> None:
        """End what blocks from another thread, at once."""


class Connection(Closable, Protocol):
    """One way to get responses."""

    @property
    def connected(self) -> float:
        """When it was connected last, in seconds of ``time.monotonic()``."""

    def __iter__(self) -> Iterator[MadsResponse | None]:
        """Yield each response; None says that the server was heard and nothing is new."""


def _grpc_v1(endpoint: Endpoint, options: MadsOptions, access: Access) -> Connection:
    # Each library is loaded when it is needed first: whoever has a Kuma with HTTP only never pays for gRPC twice.
    from kuma_sd.mads.grpc_stream import V1, GrpcStream  # noqa: PLC0415

    return GrpcStream(endpoint, V1, options, access)


def _grpc_v1alpha1(endpoint: Endpoint, options: MadsOptions, access: Access) -> Connection:
    from kuma_sd.mads.grpc_stream import V1ALPHA1, GrpcStream  # noqa: PLC0415

    return GrpcStream(endpoint, V1ALPHA1, options, access)


def _http_v1(endpoint: Endpoint, options: MadsOptions, access: Access) -> Connection:
    from kuma_sd.http.client import HttpClient  # noqa: PLC0415
    from kuma_sd.mads.http_long_poll import LongPoll  # noqa: PLC0415

    return LongPoll(HttpClient(endpoint, options, access), options.name, options.fetch_timeout)


class MadsProtocol(NamedTuple):
    """A version of MADS over a transport.

    Args:
        title: what it is called in the log.
        transport: ``grpc`` or ``http``.
        version: ``v1`` or ``v1alpha1``.
        connect: makes a connection, which is opened when it is iterated.
    """

    title: str
    transport: str
    version: str
    connect: Callable[[Endpoint, MadsOptions, Access], Connection]


GRPC_V1 = MadsProtocol("v1 gRPC", "grpc", "v1", _grpc_v1)
GRPC_V1ALPHA1 = MadsProtocol("v1alpha1 gRPC", "grpc", "v1alpha1", _grpc_v1alpha1)
HTTP_V1 = MadsProtocol("v1 HTTP", "http", "v1", _http_v1)


class Negotiation:
    """One connection to one server, in the first way that is answered.

    First v1 over gRPC; where that is not implemented, v1alpha1. After any other failure, v1 over HTTP. Where HTTP says
    that nothing is there, the address may be that of the API server, which leads to where MADS is.

    Args:
        endpoint: where to begin.
        options: which ways are allowed.
        access: how to be let in.
    """

    def __init__(self, endpoint: Endpoint, options: MadsOptions, access: Access) -> None:
        self.protocol = ""
        self.why = ""
        self.connected = 0.0
        self._endpoint = endpoint
        self._options = options
        self._access = access
        self._lock = threading.Lock()
        self._current: Closable | None = None
        self._closed = False
        self._refusals: list[tuple[str, SourceError]] = []

    def __iter__(self) -> Iterator[MadsResponse | None]:
        """Yield responses.

        Raises:
            SourceError: no way is answered, or the one that was answered breaks.
        """
        problem = yield from self._at(self._endpoint)
        if isinstance(problem, NotServedThereError) or HTTP_V1 not in self._allowed(self._endpoint):
            elsewhere = self._elsewhere()
            # Whom the API server names was not given our credentials, and MADS itself asks for none.
            self._access = self._access.without_credentials()
            for endpoint in elsewhere:
                if endpoint != self._endpoint:
                    problem = yield from self._at(endpoint)
        raise SourceError(self._summary() or str(problem), problem.retry_after)

    def close(self) -> None:
        """End the iteration at once, from any thread."""
        with self._lock:
            self._closed = True
            if self._current:
                self._current.close()

    def _at(self, endpoint: Endpoint) -> Generator[MadsResponse | None, None, SourceError]:
        """Yield the responses of the first way that is answered at an endpoint; returns why none is."""
        problem = SourceError(f"nothing that is allowed by transport and api-version can be spoken at {endpoint}")
        for protocol in self._allowed(endpoint):
            after_v1 = protocol is GRPC_V1ALPHA1 and GRPC_V1 in self._allowed(endpoint)
            if after_v1 and not isinstance(problem, NotImplementedThereError):
                continue
            problem = yield from self._over(protocol, endpoint)
        return problem

    def _over(self, protocol: MadsProtocol, endpoint: Endpoint) -> Generator[MadsResponse | None, None, SourceError]:
        """Yield the responses of one way; returns why there is none."""
        answered = False
        connection = protocol.connect(endpoint, self._options, self._access)
        self._claim(connection)
        try:
            for response in connection:
                self.connected = connection.connected
                if not answered:
                    answered = True
                    self.protocol = protocol.title
                    self.why = "; not ".join(
                        [f"at {endpoint}", *(f"{protocol}: {error}" for protocol, error in self._refusals)]
                    )
                yield response
                # Nothing of a large response may stay while the next one is awaited.
                del response
            problem = SourceError("it ended the stream")
        except SourceError as error:
            problem = error
        finally:
            connection.close()
        if answered or self._closed or isinstance(problem, TooLargeError):
            raise problem
        self._refusals.append((f"{protocol.title} at {endpoint}", problem))
        return problem

    def _summary(self) -> str:
        telling = [
            refusal for refusal in self._refusals if not isinstance(refusal[1], UnreachableError)
        ] or self._refusals[-1:]
        return "; ".join(f"{protocol}: {problem}" for protocol, problem in telling)

    def _allowed(self, endpoint: Endpoint) -> Iterable[MadsProtocol]:
        options = self._options
        protocols = [
            protocol
            for protocol in (GRPC_V1, GRPC_V1ALPHA1, HTTP_V1)
            if options.transport in ("auto", protocol.transport) and options.api_version in ("auto", protocol.version)
        ]
        # gRPC has no place for a path, which gateways need, and cannot leave certificates unverified.
        if endpoint.path or (endpoint.tls and options.tls_insecure_skip_verify):
            protocols = [protocol for protocol in protocols if protocol.transport != "grpc"]
        return protocols

    def _elsewhere(self) -> Iterable[Endpoint]:
        from kuma_sd.http.client import HttpClient  # noqa: PLC0415
        from kuma_sd.mads.catalog import mads_of  # noqa: PLC0415 (see _grpc_v1)

        client = HttpClient(self._endpoint, self._options, self._access)
        self._claim(client)
        try:
            return mads_of(self._endpoint, client, allow_plaintext=self._options.allow_plaintext)
        finally:
            client.close()

    def _claim(self, current: Closable) -> None:
        with self._lock:
            self._current = current
            if self._closed:
                raise SourceError("the connection was closed")
