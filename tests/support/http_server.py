"""A real HTTP server on loopback that answers as told, for the tests of what asks it."""

import contextlib
import queue
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

Answer = tuple[int, dict[str, str], bytes]
"""Status, headers and body."""


@dataclass
class Request:
    """What came."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Server:
    """Answers each request with what `answers` yields; `hang` is an answer that never comes."""

    address: str
    requests: "queue.Queue[Request]" = field(default_factory=queue.Queue)
    answers: "queue.Queue[Answer | Callable[[Request], Answer]]" = field(default_factory=queue.Queue)
    connections: int = 0

    def answer(self, status: int = 200, body: bytes = b"", **headers: str) -> None:
        """Tell the next answer."""
        self.answers.put((status, {name.replace("_", "-"): value for name, value in headers.items()}, body))


@contextlib.contextmanager
def http_server(tls: ssl.SSLContext | None = None) -> Iterator[Server]:  # noqa: C901 (a class in a function)
    """Run a server, with TLS if there is a context; a request beyond the told answers waits until it ends."""
    ended = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # headers and body are written one after the other

        def setup(self) -> None:
            super().setup()
            server.connections += 1

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = Request(self.command, self.path, dict(self.headers), body)
            server.requests.put(request)
            answer = self._next()
            if answer is None:
                self.close_connection = True
                return
            status, headers, content = answer(request) if callable(answer) else answer
            self.send_response_only(status)
            for name, value in headers.items():
                self.send_header(name, value)
            if status != 304 and "Transfer-Encoding" not in headers and "Content-Length" not in headers:
                self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST  # noqa: N815 (the standard library's name)

        def _next(self) -> "Answer | Callable[[Request], Answer] | None":
            while not ended.is_set():
                with contextlib.suppress(queue.Empty):
                    return server.answers.get(timeout=0.05)
            return None

        def handle(self) -> None:
            # Clients that go away in the middle are what some tests are about.
            with contextlib.suppress(OSError):
                super().handle()

        def log_message(self, *_: object) -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listener:
        listener.daemon_threads = True
        if tls:
            # The handshake belongs into the connection's own thread.
            listener.socket = tls.wrap_socket(listener.socket, server_side=True, do_handshake_on_connect=False)
        server = Server(f"127.0.0.1:{listener.server_port}")
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield server
        finally:
            ended.set()
            listener.shutdown()
            thread.join()
