"""HTTP client with one connection that another thread can close. Importing this module loads urllib3."""

import contextlib
import logging
import socket
import threading
import time
from dataclasses import dataclass
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.exceptions import (
    ConnectTimeoutError,
    HTTPError,
    InsecureRequestWarning,
    NewConnectionError,
    ProtocolError,
    ProxyError,
)
from urllib3.exceptions import TimeoutError as HTTPTimeoutError

from kuma_sd.core.close_on_error import close_on_error
from kuma_sd.core.errors import ConnectionClosedError, SourceError, without_frames
from kuma_sd.core.option_types import show_duration
from kuma_sd.http import connection_failures
from kuma_sd.http.address import Endpoint
from kuma_sd.http.answer_limits import BODY_SECONDS, Pace, PacedResponse
from kuma_sd.http.errors import SilentError, TooLargeError
from kuma_sd.http.options import ClientOptions
from kuma_sd.http.proxies import Proxy, proxy_for
from kuma_sd.http.tls_and_credentials import Access, basic
from kuma_sd.http.tls_probe import speaks_plain_http, speaks_tls

# Its warnings quote headers that it cannot parse, and the certificates of servers.
logging.getLogger("urllib3").setLevel(logging.CRITICAL)

# TCP keepalive detects a lost peer within 20 s plus three times 5 s, even during a long poll.
_KEEPALIVE = [
    *HTTPConnection.default_socket_options,
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    (socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 20),
    (socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5),
    (socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 3),
]

_PIECE = 2**20

AT_ONCE = 0.5
"""A request that fails within this time, in seconds, may have used a connection that the server had already closed."""

_BAD_REQUEST = 400


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """A complete HTTP response.

    Args:
        status: its status.
        headers: its headers.
        body: its body; nobody else has it, so it may be changed.
        server: the server that was asked; None if not known.
    """

    status: int
    headers: Any
    body: bytearray
    server: Endpoint | None = None


class HttpClient:
    """Sends requests to one server over one keep-alive connection; reconnects when the server closed it.

    Args:
        endpoint: the server's address.
        options: how to connect to it.
        access: the credentials.

    Raises:
        ConfigError: the proxy cannot be used.
        SourceError: a file of credentials or certificates cannot be read.
    """

    def __init__(self, endpoint: Endpoint, options: ClientOptions, access: Access) -> None:
        self._endpoint = endpoint
        self.max_size = options.max_message_size
        self._headers = access.headers()
        self._lock = threading.Lock()
        self._wire: socket.socket | None = None
        self._closed = False
        self._connections = 0
        self._shaken_hands = not endpoint.tls
        self._pace = Pace(0)
        self.connected = time.monotonic()
        self._proxy = proxy_for(endpoint, options.proxy)
        scheme = "https" if endpoint.tls else "http"
        self._base = f"{scheme}://{endpoint.authority}{endpoint.path}"
        self._manager = self._make_manager(access, options)
        # All requests use this one pool, so that its connections can be closed from other threads.
        self._pool: Any = self._manager.connection_from_url(self._base)
        self._pool.ConnectionCls = self._connection_class(self._pool.ConnectionCls)

    def ask(self, method: str, path: str, *, body: bytes | None = None, timeout: float) -> HttpResponse:
        """Send a request and return the response, whatever its status.

        Args:
            method: GET or POST; a request may be sent twice if the server closed an idle connection.
            path: the path after the endpoint's own prefix.
            body: JSON, or None.
            timeout: how long to wait for the body to begin, in seconds; after that a minimum rate applies.

        Raises:
            SilentError: no response arrived in time.
            TooLargeError: the response is larger than max-message-size.
            SourceError: the request failed.
        """
        while True:
            connections, began = self._connections, time.monotonic()
            try:
                response = self._exchange(method, path, body, timeout)
                break
            except (HTTPError, OSError, ValueError) as error:
                if self._was_idle(error, connections, time.monotonic() - began):
                    # The frames of urllib3 hold this error, and through it the response to the next request.
                    without_frames(error)
                    continue
                raise self._explained(error, timeout) from without_frames(error)
        if response.status == _BAD_REQUEST and self._speaks_tls():
            raise SourceError(f"the server expects TLS: {self._use('https')}")
        return response

    def close(self) -> None:
        """Close the connection from any thread; a waiting request fails immediately.

        Closing the pool does not wake it, and closing the response would hang (urllib3#2868): only the socket helps.
        """
        with self._lock:
            self._closed = True
            if self._wire:
                with contextlib.suppress(OSError):
                    self._wire.shutdown(socket.SHUT_RDWR)
                self._wire.close()
                self._wire = None
        # Idle connections.
        self._pool.close()

    def _was_idle(self, error: Exception, connections: int, seconds: float) -> bool:
        """Tell whether the server closed the connection between two requests; the second one shows it."""
        used_again = 0 < connections == self._connections and seconds < AT_ONCE and not self._closed
        return (
            used_again
            and isinstance(error, ProtocolError)
            and isinstance(connection_failures.cause_of(error), ConnectionError)
        )

    def _exchange(self, method: str, path: str, body: bytes | None, timeout: float) -> HttpResponse:
        self._pace = Pace(timeout)
        response = self._manager.urlopen(
            method,
            self._base + path,
            body=body,
            headers={"Content-Type": "application/json", "Accept": "application/json", **self._headers},
            retries=False,
            redirect=False,
            preload_content=False,
            timeout=urllib3.Timeout(connect=connection_failures.CONNECT_TIMEOUT, read=timeout),
        )
        with close_on_error(response):
            self._pace.headers_read()
            answer = HttpResponse(response.status, response.headers, self._read(response), self._endpoint)
        response.release_conn()
        return answer

    def _made(self, wire: socket.socket) -> None:
        # A duplicate, because wrapping in TLS detaches the original socket.
        with self._lock:
            if self._wire:
                self._wire.close()
            self._wire = wire.dup()
            self._connections += 1
            self.connected = time.monotonic()
            self._shaken_hands = not self._endpoint.tls
            if self._closed:
                self._wire.shutdown(socket.SHUT_RDWR)

    def _opened(self) -> None:
        self._shaken_hands = True

    def _make_manager(self, access: Access, options: ClientOptions) -> urllib3.PoolManager:
        arguments: dict[str, Any] = {"maxsize": 1, "socket_options": _KEEPALIVE}
        if self._endpoint.tls or (self._proxy and self._proxy.scheme == "https"):
            arguments["ssl_context"] = access.ssl_context()
        if self._endpoint.tls:
            arguments["server_hostname"] = options.tls_server_name or None
        if options.tls_insecure_skip_verify:
            # The source warns once at the start; urllib3 would warn at each request.
            urllib3.disable_warnings(InsecureRequestWarning)
        return _through(self._proxy, arguments) if self._proxy else urllib3.PoolManager(**arguments)

    def _connection_class(self, base: Any) -> Any:  # noqa: ANN401 (urllib3 has several, without a common type)
        made, opened = self._made, self._opened

        def pace() -> Pace:
            return self._pace

        class Connection(base):  # type: ignore[misc]
            def _new_conn(self) -> socket.socket:
                wire: socket.socket = super()._new_conn()
                made(wire)
                return wire

            def connect(self) -> None:
                super().connect()
                opened()

            @staticmethod
            def response_class(wire: socket.socket, *arguments: Any, **keywords: Any) -> PacedResponse:  # noqa: ANN401 (whatever the library hands over)
                return PacedResponse(wire, pace(), *arguments, **keywords)

        return Connection

    def _read(self, response: urllib3.BaseHTTPResponse) -> bytearray:
        # None was asked for, and a small one may hold an endless body.
        if response.headers.get("Content-Encoding", "identity").lower() not in ("", "identity"):
            raise SourceError("its answer is compressed, which kuma-sd does not ask for; turn that off for this client")
        declared = response.length_remaining or 0
        if declared > self.max_size:
            raise TooLargeError(self.max_size, declared)
        body = bytearray()
        with contextlib.ExitStack() as on_error:
            # The frames of the error hold it.
            on_error.callback(body.clear)
            while piece := response.read(_PIECE, decode_content=False):
                if len(body) + len(piece) > self.max_size:
                    raise TooLargeError(self.max_size)
                body += piece
                self._pace.content = len(body)
            on_error.pop_all()
        return body

    def _explained(self, error: Exception, timeout: float) -> SourceError:
        if self._closed:
            return ConnectionClosedError("the connection was closed", orderly=True)
        if isinstance(error, (ProxyError, ConnectTimeoutError, NewConnectionError)):
            return SourceError(connection_failures.connecting_fails(error, self._proxy))
        if isinstance(error, (HTTPTimeoutError, TimeoutError)):
            slow = f"its answer comes too slowly, less than 30KiB in {BODY_SECONDS:g}s"
            return SilentError(slow if self._pace.in_body else f"no answer within {show_duration(timeout)}")
        if self._speaks_tls():
            return SourceError(f"the server expects TLS: {self._use('https')}")
        if self._endpoint.tls and (connection_failures.is_about_tls(error) or not self._shaken_hands):
            return SourceError(self._tls_fails(error))
        kind = ConnectionClosedError if connection_failures.is_closed(error) else SourceError
        return kind(connection_failures.answer_fails(error))

    def _tls_fails(self, error: Exception) -> str:
        if not connection_failures.is_about_trust(error) and not self._proxy and speaks_plain_http(self._endpoint):
            return f"the server does not use TLS: {self._use('http')}"
        reason = connection_failures.tls_fails(error)
        # A server that speaks neither may close the connection without a response, as Kuma before 1.2 does.
        return (
            reason
            if connection_failures.is_about_tls(error)
            else f"{reason}; if the server does not use TLS, {self._use('http')}"
        )

    def _speaks_tls(self) -> bool:
        return not self._endpoint.tls and not self._proxy and speaks_tls(self._endpoint)

    def _use(self, scheme: str) -> str:
        return f"use {scheme}://{self._endpoint.shown}"


def _through(proxy: Proxy, arguments: dict[str, Any]) -> urllib3.ProxyManager:
    headers = {"Proxy-Authorization": basic(f"{proxy.user}:{proxy.password.reveal()}")} if proxy.user else {}
    trusted = arguments.get("ssl_context") if proxy.scheme == "https" else None
    return urllib3.ProxyManager(str(proxy), proxy_headers=headers, proxy_ssl_context=trusted, **arguments)
