"""The TCP listeners of [web]. Import late: it loads the server."""

import contextlib
import ipaddress
import socket
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kuma_sd.core.close_on_error import close_on_error
from kuma_sd.core.errors import KumaSDError
from kuma_sd.core.logger import Logger
from kuma_sd.system.descriptors import share_of_descriptors
from kuma_sd.web.paths import lane_of
from kuma_sd.web.server.access_control import AccessControl
from kuma_sd.web.server.limits import ConnectionLimits
from kuma_sd.web.server.serving import Serving
from kuma_sd.web.server.web_config import Reading
from kuma_sd.web.server.web_config_watcher import WebConfigWatcher, check_losses

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

_log = Logger(__name__)


class WebSettings(Protocol):
    """The settings of [web]."""

    @property
    def listen_address(self) -> tuple[str, ...]:
        """The addresses to listen on, each ``HOST:PORT``."""

    @property
    def config_file(self) -> Path | None:
        """The web configuration file."""

    @property
    def hosts(self) -> tuple[str, ...]:
        """The allowed host names; empty allows all that are safe."""

    @property
    def enable_lifecycle(self) -> bool:
        """Whether the daemon's own paths allow methods that change something."""


class Worker(Protocol):
    """An object that runs in a thread."""

    def run(self) -> None:
        """Work until closed."""

    def close(self) -> None:
        """End `run`."""


class WebListeners:
    """Listens at the addresses of [web].

    Args:
        application: the WSGI application.
        settings: the initial settings of [web].
        start: runs a worker in a thread of this name.
        stop: ends workers.
        limits: the limits of clients.

    Raises:
        ConfigError: the web configuration is invalid.
    """

    def __init__(
        self,
        application: "WSGIApplication",
        settings: WebSettings,
        start: Callable[[str, Worker], None],
        stop: Callable[[Collection[Worker]], object],
        limits: ConnectionLimits | None = None,
    ) -> None:
        self._application = application
        self._settings = settings
        self._start = start
        self._stop = stop
        self._limits = limits
        self._config = WebConfigWatcher(Reading(settings.config_file).config())
        self._serving: dict[str, Serving] = {}

    def open(self) -> None:
        """Bind all addresses, before any is served.

        Raises:
            KumaSDError: an address cannot be bound.
        """
        self._serving = self._bind(self._settings.listen_address)

    def start(self) -> None:
        """Start to serve."""
        self._start("web config", self._config)
        for address, serving in self._serving.items():
            self._serve(address, serving)

    @contextlib.contextmanager
    def changing(self, settings: WebSettings) -> Iterator[None]:
        """Switch to new settings if the block succeeds: new addresses are bound before it, old ones closed after it.

        Raises:
            ConfigError: the web configuration is invalid; nothing changes.
            KumaSDError: an address cannot be bound; nothing changes.
        """
        config = Reading(settings.config_file).config()
        check_losses(self._config.now, config)
        wanted = [address for address in settings.listen_address if address not in self._serving]
        gone = [address for address in self._serving if address not in settings.listen_address]
        opened, closed = self._bind_instead_of(gone, wanted)
        try:
            yield
        except BaseException:
            self._open_instead_of(opened, closed)
            raise
        self._settings = settings
        self._config.follow(config)
        self._serving |= opened
        for address, serving in opened.items():
            self._serve(address, serving)
        for address in gone:
            _log.info("stopped listening", address=address)
        self._close([address for address in gone if address not in closed])

    def _bind_instead_of(self, gone: Collection[str], wanted: Collection[str]) -> tuple[dict[str, Serving], list[str]]:
        """Bind addresses; return their sockets, and the old addresses that had to be closed first."""
        try:
            return self._bind(wanted), []
        except KumaSDError:
            # Old addresses may conflict: 127.0.0.1 and the wildcard address exclude each other on one port.
            in_the_way = [address for address in gone if _port(address) in map(_port, wanted)]
            if not in_the_way:
                raise
        self._close(in_the_way)
        try:
            return self._bind(wanted), in_the_way
        except KumaSDError:
            self._open_instead_of({}, in_the_way)
            raise

    def _open_instead_of(self, opened: Mapping[str, Serving], closed: Collection[str]) -> None:
        """Undo a failed reload: close the addresses it opened, and reopen those it closed."""
        for serving in opened.values():
            serving.socket.close()
        for address, serving in self._bind(closed).items():
            self._serving[address] = serving
            self._serve(address, serving)

    def _close(self, addresses: Collection[str]) -> None:
        closing = [self._serving.pop(address) for address in addresses]
        self._stop(closing)

    def _serve(self, address: str, serving: Serving) -> None:
        self._start(f"web {address}", serving)
        scheme = "https" if self._config.now.tls else "http"
        _log.info("listening", url=f"{scheme}://{written(serving.socket.getsockname())}/")

    def _bind(self, addresses: Collection[str]) -> dict[str, Serving]:
        serving: dict[str, Serving] = {}
        limits = self._limits or ConnectionLimits(
            connections=min(ConnectionLimits().connections, share_of_descriptors(4))
        )
        try:
            for address in addresses:
                bound = bind(address)
                local = ipaddress.ip_address(bound.getsockname()[0].partition("%")[0]).is_loopback
                access_control = AccessControl(
                    self._application,
                    lambda: self._config.now,
                    lambda: self._settings.enable_lifecycle,
                    lambda: self._settings.hosts,
                    only_local=local,
                )
                serving[address] = Serving(bound, access_control, limits, lambda: self._config.now.tls, lane_of)
        except BaseException:
            for listener in serving.values():
                listener.socket.close()
            raise
        return serving


def _port(address: str) -> str:
    return address.rpartition(":")[2]


def bind(address: str) -> socket.socket:
    """Bind a TCP socket and listen on it.

    Args:
        address: ``HOST:PORT``; an IPv6 address in brackets; without a host all addresses of the machine.

    Raises:
        KumaSDError: the address cannot be bound.
    """
    host, _, port = address.rpartition(":")
    try:
        # As bytes: for text, Python loads Unicode's tables, and a setting is plain ASCII.
        name = host.strip("[]").encode("ascii") or None
        found = socket.getaddrinfo(name, int(port), type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # As Go does: IPv4 if a name has both; without a host, all addresses of both families.
        found.sort(key=lambda one: (one[0] == socket.AF_INET6) is bool(host))
        return _bound(*found[0])
    except OSError as error:
        reason = error.strerror or str(error)
        raise KumaSDError(
            f"cannot listen on {address}: {reason}; set listen-address in [web] to another, or to nothing"
        ) from error


def written(address: tuple[str, int] | tuple[str, int, int, int]) -> str:
    """Format an address as in settings."""
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _bound(family: int, kind: int, protocol: int, _name: str, address: tuple[Any, ...]) -> socket.socket:
    bound = socket.socket(family, kind, protocol)
    with close_on_error(bound):
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        bound.bind(address)
        # The kernel's maximum: a client that finds the queue full retries only after a second.
        bound.listen(4096)
    return bound
