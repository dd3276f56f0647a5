"""Serve the API of a control plane: the catalog, with the address of MADS, and lists of dataplanes and policies."""

import json
import ssl
import threading
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from kuma_sd.simulator.http_server import JSON, ServerRequest, ServerResponse, serve
from kuma_sd.simulator.kuma_versions import Catalog, KumaVersion
from kuma_sd.simulator.long_poll import not_found
from kuma_sd.simulator.port_mux import PortMux


class ApiLists(Protocol):
    """Answers requests for the lists of a world."""

    def __call__(self, request: ServerRequest) -> ServerResponse | None:
        """Answer a request; None for an unknown path."""

    def close(self) -> None:
        """Stop following the world."""


class ApiServer:
    """Serves /catalog where Kuma did, and the lists of a world. A control plane starts and closes it.

    Args:
        host: the host to listen at; an IPv6 address in brackets.
        port: the port to listen at; 0 lets the kernel choose.
        tls: the certificate, to serve HTTPS; None for HTTP.
        advertised: the host in the catalog; localhost by default, as in Kuma.
        kubernetes: whether the control plane runs on Kubernetes.
        zones: the zones of a global control plane; empty for a control plane of one zone.
    """

    def __init__(  # noqa: PLR0913 (all have a default)
        self,
        host: str = "127.0.0.1",
        port: int = 0,
        tls: ssl.SSLContext | None = None,
        advertised: str = "localhost",
        *,
        kubernetes: bool = False,
        zones: Sequence[str] = (),
    ) -> None:
        self.kubernetes = kubernetes
        self.zones = tuple(zones)
        self._host = host
        self._port = port
        self._tls = tls
        self._advertised = advertised
        self._catalog: Mapping[str, Any] | None = None
        self._lists: ApiLists | None = None
        self._running: tuple[PortMux, threading.Thread] | None = None

    @property
    def address(self) -> str:
        """Host and port."""
        return f"{self._host}:{self._port}"

    @property
    def url(self) -> str:
        """The value for ``--cp-address``."""
        return f"{'https' if self._tls else 'http'}://{self.address}"

    def start(
        self,
        line: KumaVersion,
        mads_port: int,
        recorded: Mapping[str, Any] | None = None,
        lists: ApiLists | None = None,
    ) -> None:
        """Listen.

        Args:
            line: the Kuma version to simulate.
            mads_port: the port of MADS.
            recorded: a recorded catalog to serve, with the address of MADS replaced; None for a generated one.
            lists: answers requests for lists; None if there are none.

        Raises:
            ConfigError: it cannot listen there.
        """
        mads = f"grpc://{self._advertised}:{mads_port}"
        if recorded is not None:
            self._catalog = _with_mads_at(mads, recorded)
        else:
            self._catalog = None if line.catalog is Catalog.NONE else _catalog(line, mads)
        self._lists = lists
        splitter = PortMux(None, lambda connection: serve(connection, self._answer), self._tls)
        self._port = splitter.start(self.address)
        thread = threading.Thread(target=splitter.run, name="simulator API server", daemon=True)
        thread.start()
        self._running = (splitter, thread)

    def close(self) -> None:
        """Cut all connections and free the port; closing twice does no harm."""
        if self._running is None:
            return
        splitter, thread = self._running
        self._running = None
        splitter.close()
        thread.join()
        if self._lists:
            self._lists.close()

    def _answer(self, request: ServerRequest) -> ServerResponse:
        if request.path != "/catalog":
            return (self._lists(request) if self._lists else None) or not_found()
        if self._catalog is None:
            return not_found()
        if request.method != "GET":
            return ServerResponse(405, [b"405: Method Not Allowed"])
        return ServerResponse(200, [json.dumps(self._catalog, indent=1).encode()], JSON)


def _catalog(line: KumaVersion, mads: str) -> dict[str, Any]:
    local = {"localUrl": "http://localhost:5679", "publicUrl": ""}
    apis: dict[str, Any] = {"bootstrap": {"url": "http://localhost:5682"}, "dataplaneToken": local}
    if line.catalog is Catalog.WITH_MADS:
        apis |= {"admin": local, "monitoringAssignment": {"url": mads}}
    return {"apis": apis}


def _with_mads_at(mads: str, recorded: Mapping[str, Any]) -> dict[str, Any]:
    return {"apis": {**recorded["apis"], "monitoringAssignment": {"url": mads}}}
