"""Which protocol to speak. Found by answers, never by port or error text, and anew for each connection.

Control planes are upgraded and rolled back underneath us, so nothing is remembered from one connection to the next.
"""

import logging
import threading
from collections.abc import Generator, Iterator
from typing import NamedTuple

from kuma_sd.core.errors import ConfigError, SourceError
from kuma_sd.http.address import Endpoint
from kuma_sd.http.credentials import Access
from kuma_sd.http.errors import SilentError, TooLargeError
from kuma_sd.http.proxies import proxy_for
from kuma_sd.mads.answer_timeout import Patience
from kuma_sd.mads.decoder import MadsResponse
from kuma_sd.mads.errors import GarbledError, NotImplementedThereError, NotServedThereError, UnreachableError
from kuma_sd.mads.plugin import MadsOptions
from kuma_sd.mads.protocols import GRPC_V1, GRPC_V1ALPHA1, HTTP_V1, Closable, MadsProtocol, allowed

_log = logging.getLogger(__name__)


class _Refusal(NamedTuple):
    """What was tried in vain."""

    protocol: MadsProtocol
    endpoint: Endpoint
    error: SourceError

    def __str__(self) -> str:
        return f"{self.protocol.title} at {self.endpoint}: {self.error}"


class Negotiation:
    """One connection to one server, over the first protocol that is answered.

    First v1 over gRPC; where that is not implemented, v1alpha1. After any other failure, v1 over HTTP. Where HTTP says
    that nothing is there, the address may be that of the API server, whose ``/catalog`` may lead to where MADS is.

    Args:
        endpoint: where to begin.
        options: which protocols are allowed.
        access: how to be let in.
        patience: how long a first answer is waited for.
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
            SourceError: no protocol is answered, or the connection that was made breaks.
        """
        configured = self.endpoint
        error = yield from self._at(configured)
        if isinstance(error, NotServedThereError) or HTTP_V1 not in allowed(configured, self._options):
            advertised = self._ask_api_server(configured)
            if advertised and advertised != configured:
                # Whom the API server names was not given our credentials, and MADS itself asks for none.
                self._access = self._access.without_credentials()
                error = yield from self._at(advertised)
        if any(isinstance(refusal.error, SilentError) for refusal in self._refusals):
            self._patience.was_in_vain()
        kind = (
            GarbledError if any(isinstance(refusal.error, GarbledError) for refusal in self._refusals) else SourceError
        )
        raise kind(self._summary() or str(error), error.retry_after)

    def close(self) -> None:
        """End the iteration at once, from any thread."""
        with self._lock:
            self._closed = True
            if self._current:
                self._current.close()

    def _at(self, endpoint: Endpoint) -> Generator[MadsResponse | None, None, SourceError]:
        """Yield the responses over the first protocol that is answered at an endpoint; returns why none is."""
        try:
            protocols = allowed(endpoint, self._options)
        except ConfigError as wrong:
            # The proxy of an address that was not known when the settings were checked.
            return SourceError(str(wrong))
        error = SourceError(f"nothing that is allowed by transport and api-version can be spoken at {endpoint}")
        for protocol in protocols:
            after_v1 = protocol is GRPC_V1ALPHA1 and GRPC_V1 in protocols
            if after_v1 and not isinstance(error, NotImplementedThereError):
                continue
            error = yield from self._over(protocol, endpoint)
        return error

    def _over(self, protocol: MadsProtocol, endpoint: Endpoint) -> Generator[MadsResponse | None, None, SourceError]:
        """Yield the responses over one protocol; returns why there is none."""
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
                # Nothing of a large response may stay while the next one is awaited.
                del response
            error = SourceError("it ended the stream")
        except SourceError as caught:
            error = caught
        finally:
            connection.close()
        if answered or self._closed or isinstance(error, TooLargeError):
            raise error
        _log.debug("%s at %s: %s", protocol.title, endpoint, error)
        self._refusals.append(_Refusal(protocol, endpoint, error))
        return error

    def _note_answer(self, protocol: MadsProtocol, endpoint: Endpoint) -> None:
        self._patience.was_rewarded()
        self.protocol = protocol.title
        self.why = self._reason(protocol, endpoint)
        self.endpoint = endpoint

    def _reason(self, protocol: MadsProtocol, endpoint: Endpoint) -> str:
        """Say why it is this protocol and not the one that is tried before it; empty where there is nothing to say."""
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
        """Return where the API server at an endpoint says that MADS is, if it does.

        Raises:
            SourceError: it says that there is none, or it is where we may not go.
        """
        # Late, as most addresses are those of MADS.
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
