"""What a stranger sends to the web listener: answers are well formed, change nothing and show no secret."""

import base64
import contextlib
import re
import socket
import tempfile
import time
from collections.abc import Iterable, Iterator
from functools import partial
from pathlib import Path

import bcrypt
from target import BETWEEN, CANARY, Log, Target, assert_hidden

from kuma_sd.plugin.manager import Plugins
from kuma_sd.runtime.daemon import Daemon
from kuma_sd.runtime.status_collector import StatusCollector
from kuma_sd.service.http_app import application_of
from kuma_sd.settings.loader import load
from kuma_sd.testing import control_plane
from kuma_sd.web.server.access_control import AccessControl
from kuma_sd.web.server.authentication import Authentication
from kuma_sd.web.server.connection import Connection, ConnectionEndedError, Phase
from kuma_sd.web.server.exchange import Exchange
from kuma_sd.web.server.limits import ConnectionLimits
from kuma_sd.web.server.web_config import WebConfig

PATHS = ("/", "/targets", "/explain", "/metrics", "/sd", "/sd/0", "/-/healthy", "/-/ready", "/-/explain")
PATHS += ("/-/published", "/-/received", "/-/accept", "/-/reload", "/api/status", "/static/page.css", "/none")

QUERIES = ("?selector=a", "?output=http_sd", "?control-plane=", "?limit=5&offset=1", "?shard=1&of=3", "?q=%00")

FIELDS = ("Host: localhost", "Host: evil", "Origin: http://evil", "Sec-Fetch-Site: cross-site", "Range: bytes=0-1")
FIELDS += ("Expect: 100-continue", "Transfer-Encoding: chunked", "Content-Length: 5", "Connection: close")
FIELDS += ("Accept-Encoding: gzip", "If-None-Match: *", "Upgrade: websocket", "Accept: application/openmetrics-text")

RIGHT = base64.b64encode(f"user:{CANARY}".encode()).decode()

HEAD = re.compile(rb"HTTP/1\.1 ([1-5][0-9][0-9]) [ -~]+\r\n((?:[!-9;-~]+: [ -~\x80-\xff]*\r\n)+)\r\n")


class Web:
    """The web application of a daemon, with and without a password, driven without threads."""

    def __init__(self) -> None:
        self._stack = contextlib.ExitStack()
        folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        kuma = self._stack.enter_context(control_plane("a", "b", "c"))
        address = kuma.url.replace("://", f"://user:{CANARY}@")
        flags = (f"--cp-address={address}", "--output=http_sd", f"--state-dir={folder}", "--control-socket=")
        daemon = Daemon(load(flags, {}, Plugins()))
        self._stack.callback(daemon.stop)
        daemon.start()
        collector = StatusCollector(daemon)
        application = application_of(daemon, collector, self._changed, lambda: False)
        while collector.status().unready:
            time.sleep(0.05)
        users = Authentication({"user": bcrypt.hashpw(CANARY.encode(), bcrypt.gensalt(4))})
        self._applications = [
            AccessControl(application, partial(_same, config), lambda: False, lambda: (), only_local=local)
            for config, local in ((WebConfig(), True), (WebConfig(), False), (WebConfig(authentication=users), False))
        ]
        self._log = Log()
        self.close = self._stack.close

    def take(self, data: bytes) -> None:
        """Send what comes in several parts; the first byte says to which application."""
        application, parts = self._applications[sum(data[:1]) % 3], data[1:].split(BETWEEN)
        ours, theirs = socket.socketpair()
        with contextlib.closing(ours), contextlib.closing(theirs):
            ours.setblocking(False)  # noqa: FBT003 (its only argument)
            connection = Connection(ours, "client", "192.0.2.1", ConnectionLimits(), 0.0)
            with contextlib.suppress(ConnectionEndedError):
                for part in parts:
                    theirs.sendall(part[: 2**15])
                    _check(_answers(connection, application, theirs))
        for record in self._log.taken():
            assert_hidden(record.getMessage())
            assert record.levelname not in ("ERROR", "CRITICAL"), record.getMessage()

    def _changed(self) -> None:
        raise AssertionError("a stranger reloaded the settings")


def _same(config: WebConfig) -> WebConfig:
    return config


def _answers(connection: Connection, application: AccessControl, client: socket.socket) -> bytes:
    """Serve a connection until it waits for its client; return what it answered."""
    received = b""
    for _ in range(100):
        if connection.waits_for_client:
            request = connection.receive(0.0)
            if request:
                connection.exchange = Exchange(application, request.head, request.body, {"REMOTE_ADDR": "192.0.2.1"})
        if connection.phase is Phase.WORKING:
            assert connection.exchange
            connection.send(connection.exchange.advance(), 0.0)
        elif connection.waits_for_client:
            return received
        connection.flush(0.0)
        with contextlib.suppress(BlockingIOError):
            received += client.recv(2**20, socket.MSG_DONTWAIT)
    return received


def _check(received: bytes) -> None:
    """Raise unless these are whole answers to GET or HEAD."""
    assert_hidden(received.decode("latin-1"))
    while received:
        head = HEAD.match(received)
        assert head, f"no head of an answer: {received[:500]!r}"
        assert head[1] != b"500", received[:500]
        names = [line.split(b":")[0].lower() for line in head[2].split(b"\r\n")]
        for name in (b"content-type", b"content-length", b"date"):
            assert names.count(name) <= 1, head[2]
        # A following answer begins in its own line, whatever the body of this one is.
        rest = received[head.end() :]
        following = rest.find(b"HTTP/1.1 ")
        received = rest[following:] if following >= 0 and HEAD.match(rest[following:]) else b""


def seeds() -> Iterator[bytes]:
    """Return a request for each path, with each query, and with each header."""
    rests = [*(f"{query} HTTP/1.1\r\n{FIELDS[0]}" for query in ("", *QUERIES))]
    rests += [f" HTTP/1.1\r\n{FIELDS[0]}\r\n{field}" for field in FIELDS[1:]]
    requests = [f"GET {path}{rest}\r\n\r\n" for path in PATHS for rest in rests]
    requests += [f"{method} {path} HTTP/1.0\r\n\r\n" for method in ("POST", "HEAD", "PUT") for path in PATHS]
    requests.append(f"GET http://a/ HTTP/1.1\r\nHost: a\r\nAuthorization: Basic {RIGHT}\r\n\r\n")
    requests.append(f"GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic {RIGHT}\r\n\r\n")
    for number, request in enumerate(requests):
        yield bytes([number % 3]) + request.encode()
    yield b"\0" + BETWEEN.join(request.encode() for request in requests[:20])


def words() -> Iterable[bytes]:
    """Return paths, queries and headers."""
    yield from (text.encode() for text in (*PATHS, *QUERIES, *FIELDS, f"Authorization: Basic {RIGHT}"))
    yield from (b"\r\n", b" HTTP/1.1\r\n", b"GET ", b"POST ", b"HEAD ", b"OPTIONS ", b"%0d%0a", b"%zz", BETWEEN)


def open_target() -> Target:
    """Run a daemon to ask."""
    web = Web()
    return Target(web.take, seeds, words(), web.close)


TARGETS = {"web": open_target}
