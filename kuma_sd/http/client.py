"""HTTP with one connection that another thread can cut. Importing this loads urllib3."""

import contextlib
import http.client
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    InsecureRequestWarning,
    NameResolutionError,
    NewConnectionError,
    ProtocolError,
    ProxyError,
    SSLError,
)
from urllib3.exceptions import TimeoutError as HTTPTimeoutError

from kuma_sd.core.errors import SourceError
from kuma_sd.core.options import SIZE, show_duration
from kuma_sd.http.access import Access
from kuma_sd.http.address import Endpoint
from kuma_sd.http.errors import TooLargeError
from kuma_sd.http.options import ClientOptions

CONNECT_TIMEOUT = 5.0

# A peer that vanished is noticed within 20 s and three times 5 s, also in the middle of a long poll.
_KEEPALIVE = [
    *HTTPConnection.default_socket_options,
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 20),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
]

_PIECE = 2**20


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """An HTTP response, whole."""

    status: int
    headers: Any
    body: bytes


class HttpClient:
    """Asks one server, over one connection that is kept alive; ``connected`` is when it was made last.

    Args:
        endpoint: where it listens.
        options: how to talk to it.
        access: how to be let in.
    """

    def __init__(self, endpoint: Endpoint, options: ClientOptions, access: Access) -> None:
        self._endpoint = endpoint
        self._max_size = options.max_message_size
        self._headers = access.headers()
        self._lock = threading.Lock()
        self._wire: socket.socket | None = None
        self._closed = False
        self._shaken_hands = not endpoint.tls
        self.connected = time.monotonic()
        scheme = "https" if endpoint.tls else "http"
        self._base = f"{scheme}://{endpoint.authority}{endpoint.path}"
        self._manager = self._make_manager(access, options)

    def ask(self, method: str, path: str, *, body: bytes | None, timeout: float) -> HttpResponse:
        """Send a request and return the answer, whatever its status.

        Args:
            method: GET or POST.
            path: what follows the endpoint's own path.
            body: JSON, or None.
            timeout: the longest silence, in seconds.

        Raises:
            SourceError: there is no answer, or it is too large.
        """
        headers = {"Content-Type": "application/json", "Accept": "application/json", **self._headers}
        try:
            response = self._manager.urlopen(
                method,
                self._base + path,
                body=body,
                headers=headers,
                retries=False,
                redirect=False,
                preload_content=False,
                timeout=urllib3.Timeout(connect=CONNECT_TIMEOUT, read=timeout),
            )
            try:
                answer = HttpResponse(response.status, response.headers, self._read(response))
            except BaseException:
                response.close()
                raise
            response.release_conn()
        except (HTTPError, OSError) as error:
            raise SourceError(self._explain(error, timeout)) from error
        return answer

    def close(self) -> None:
        """Cut the connection, from any thread; what waits for an answer wakes at once.

        Closing the pool would not wake it, and closing the response would hang (urllib3#2868): only the socket helps.
        """
        with self._lock:
            self._closed = True
            if self._wire:
                with contextlib.suppress(OSError):
                    self._wire.shutdown(socket.SHUT_RDWR)
                self._wire.close()
                self._wire = None

    def _made(self, wire: socket.socket) -> None:
        # A duplicate, since TLS takes the socket itself away.
        with self._lock:
            if self._wire:
                self._wire.close()
            self._wire = wire.dup()
            self.connected = time.monotonic()
            self._shaken_hands = not self._endpoint.tls
            if self._closed:
                self._wire.shutdown(socket.SHUT_RDWR)

    def _opened(self) -> None:
        self._shaken_hands = True

    def _make_manager(self, access: Access, options: ClientOptions) -> urllib3.PoolManager:
        endpoint, made, opened = self._endpoint, self._made, self._opened
        base: type[HTTPConnection] = HTTPSConnection if endpoint.tls else HTTPConnection

        class Connection(base):  # type: ignore[valid-type, misc]
            def _new_conn(self) -> socket.socket:
                wire: socket.socket = super()._new_conn()
                made(wire)
                return wire

            def connect(self) -> None:
                super().connect()
                opened()

        arguments: dict[str, Any] = {"maxsize": 1, "socket_options": _KEEPALIVE}
        if endpoint.tls:
            arguments["ssl_context"] = access.ssl_context()
            arguments["server_hostname"] = options.tls_server_name or None
        if options.tls_insecure_skip_verify:
            # It is said once at the start, not at each request.
            urllib3.disable_warnings(InsecureRequestWarning)
        proxy = access.proxy(endpoint)
        manager = urllib3.ProxyManager(proxy, **arguments) if proxy else urllib3.PoolManager(**arguments)
        # The one pool that requests go through; its connections are ours to cut.
        pool = manager.connection_from_url(self._base)
        pool.ConnectionCls = Connection
        return manager

    def _read(self, response: urllib3.BaseHTTPResponse) -> bytes:
        pieces, size = [], 0
        while piece := response.read(_PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > self._max_size:
                limit = SIZE.show(self._max_size)
                raise TooLargeError(f"the response is larger than max-message-size ({limit}), raise it")
        return b"".join(pieces)

    def _explain(self, error: HTTPError | OSError, timeout: float) -> str:
        cause = error.__cause__ or (error.args[-1] if error.args else error)
        reason = getattr(cause, "verify_message", "") or getattr(cause, "strerror", "") or str(cause)
        match error:
            case _ if self._closed:
                reason = "the connection was closed"
            case NameResolutionError():
                reason = f"the name {self._endpoint.host!r} does not resolve"
            case NewConnectionError():
                pass
            case ConnectTimeoutError():
                reason = f"no connection within {CONNECT_TIMEOUT:g}s"
            case ProxyError():
                reason = f"the proxy fails: {error.original_error}"
            case SSLError():
                reason = f"TLS fails: {reason}"
            case ProtocolError() if not self._shaken_hands:
                # What a server for gRPC without TLS does. One that would never have TLS is the likeliest.
                reason = f"TLS fails: {reason}; Kuma has TLS for MADS since 2.0 and only when enabled, else use http://"
            case ProtocolError() if isinstance(cause, http.client.HTTPException):
                reason = "it does not speak HTTP, or breaks off"
            case HTTPTimeoutError():
                reason = f"no answer within {show_duration(timeout)}"
        return reason
