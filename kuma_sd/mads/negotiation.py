"""Choose the protocol for each connection, by the server's responses; never by port number or error text.

Nothing is remembered between connections, since control planes may be upgraded or rolled back at any time.
"""

import threading
from collections.abc import Generator, Iterator
from typing import NamedTuple

from kuma_sd.core.errors import ConfigError, ConnectionClosedError, SourceError, without_frames
from kuma_sd.core.logger import Logger
from kuma_sd.core.value_limits import TooManyValuesError
from kuma_sd.http.address import Endpoint
from kuma_sd.http.errors import SilentError, TooLargeError
from kuma_sd.http.proxies import proxy_for
from kuma_sd.http.tls_and_credentials import Access
from kuma_sd.mads.decoder import MadsResponse
from kuma_sd.mads.errors import GarbledError, NotImplementedThereError, NotServedThereError, UnreachableError
from kuma_sd.mads.first_answer_timeout import Patience
from kuma_sd.mads.plugin import MadsOptions
from kuma_sd.mads.protocols import GRPC_V1, GRPC_V1ALPHA1, HTTP_V1, Closable, MadsProtocol, allowed

_log = Logger(__name__)


class _Refusal(NamedTuple):
    """A protocol that failed at an endpoint, and why."""

    protocol: MadsProtocol
    endpoint: Endpoint
    error: SourceError

    def __str__(self) -> str:
        return f"{self.protocol.title} at {self.endpoint}: {self.error}"


class Negotiation:
    """One connection to one server, over the first protocol that gets a response.

    The order is v1 over gRPC; v1alpha1 if v1 is not implemented; v1 over HTTP after any other failure. If HTTP serves
    no MADS, the address may be that of the API server, whose ``/catalog`` may give the MADS endpoint.

    Args:
        endpoint: the configured endpoint.
        options: which protocols are allowed.
        access: the credentials.
        patience: timeout of the first response.
    """

    def __init__(self, endpoint: Endpoint, options: MadsOptions, access: Access, patience: Patience) -> None:
        self.protocol = ""
        self.why = ""
        self.endpoint = endpoint
        self.next_within = float("inf")
        self._options = options
        self._access = access
        self._patience = patience
        self._lock = threading.Lock()
        self._current: Closable | None = None
        self._closed = False
        self._refusals: list[_Refusal] = []

    def __iter__(self) -> Iterator[MadsResponse | None]:
        """Yield responses.

        Raises:
            SourceError: no protocol works, or the connection breaks.
        """
        configured = self.endpoint
        error = yield from self._at(configured)
        if isinstance(error, NotServedThereError) or HTTP_V1 not in allowed(configured, self._options):
            advertised = self._ask_api_server(configured)
            if advertised and advertised != configured:
                # Credentials are for the configured address only, and MADS itself needs none.
                self._access = self._access.without_credentials()
                error = yield from self._at(advertised)
        if any(isinstance(refusal.error, SilentError) for refusal in self._refusals):
            self._patience.was_in_vain()
        kind = (
            GarbledError if any(isinstance(refusal.error, GarbledError) for refusal in self._refusals) else SourceError
        )
        raise kind(self._summary() or str(error), error.retry_after)

    def close(self) -> None:
        """Close the connection immediately, from any thread."""
        with self._lock:
            self._closed = True
            if self._current:
                self._current.close()

    def _at(self, endpoint: Endpoint) -> Generator[MadsResponse | None, None, SourceError]:
        """Yield the responses over the first protocol that works at an endpoint; return the error if none does."""
        try:
            protocols = allowed(endpoint, self._options)
        except ConfigError as wrong:
            # Check the proxy: this endpoint was unknown when the settings were checked.
            return SourceError(str(wrong))
        error = SourceError(f"transport and api-version allow no protocol at {endpoint}")
        for protocol in protocols:
            after_v1 = protocol is GRPC_V1ALPHA1 and GRPC_V1 in protocols
            if after_v1 and not isinstance(error, NotImplementedThereError):
                continue
            error = yield from self._over(protocol, endpoint)
        return error

    def _over(self, protocol: MadsProtocol, endpoint: Endpoint) -> Generator[MadsResponse | None, None, SourceError]:
        """Yield the responses over one protocol; return the error if there are none."""
        answered = False
        connection = protocol.connect(endpoint, self._options, self._access, self._patience.seconds)
        try:
            self._claim(connection)
            for response in connection:
                if not answered:
                    answered = True
                    self._note_answer(protocol, endpoint)
                self.next_within = connection.next_within
                yield response
                # Free a large response before waiting for the next one.
                del response
            raise ConnectionClosedError("it ended the stream", orderly=True)
        except SourceError as error:
            if answered or self._closed or isinstance(error, TooLargeError | TooManyValuesError):
                raise
            _log.debug("protocol refused", protocol=protocol.title, endpoint=endpoint, reason=error)
            refusal = _Refusal(protocol, endpoint, without_frames(error))
        finally:
            connection.close()
        self._refusals.append(refusal)
        return refusal.error

    def _note_answer(self, protocol: MadsProtocol, endpoint: Endpoint) -> None:
        self._patience.was_rewarded()
        self.protocol = protocol.title
        self.why = self._reason(protocol, endpoint)
        self.endpoint = endpoint

    def _reason(self, protocol: MadsProtocol, endpoint: Endpoint) -> str:
        """Explain why this protocol is used instead of the preferred one; empty if it is the preferred one."""
        errors = [error for _, where, error in self._refusals if where == endpoint]
        if not errors:
            return ""
        if protocol is GRPC_V1ALPHA1:
            return "this Kuma serves no v1"
        match errors[-1]:
            case NotImplementedThereError():
                return "this Kuma serves no MADS over gRPC"
            case UnreachableError() if not proxy_for(endpoint, self._options.proxy):
                return f"this Kuma serves no gRPC{' over TLS' * endpoint.tls}"
            case error:
                return f"gRPC fails: {error}"

    def _summary(self) -> str:
        telling = [refusal for refusal in self._refusals if not isinstance(refusal.error, UnreachableError)]
        return "; ".join(map(str, telling or self._refusals[-1:]))

    def _ask_api_server(self, endpoint: Endpoint) -> Endpoint | None:
        """Return the MADS endpoint that the API server at an endpoint gives, if any.

        Raises:
            SourceError: the API server serves no MADS, or its MADS endpoint must not be used.
        """
        # Imported late: most addresses are MADS addresses.
        from kuma_sd.http.client import HttpClient  # noqa: PLC0415
        from kuma_sd.mads.api_server_hints import mads_of  # noqa: PLC0415

        client = HttpClient(endpoint, self._options, self._access)
        self._claim(client)
        try:
            return mads_of(endpoint, client, allow_plaintext=self._options.allow_plaintext)
        finally:
            client.close()

    def _claim(self, current: Closable) -> None:
        with self._lock:
            self._current = current
            if self._closed:
                raise SourceError("the connection was closed")
