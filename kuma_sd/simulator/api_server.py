"""Serve the API of a control plane: its configuration, the catalog with the address of MADS, and the lists."""

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
    """Serves /config, /catalog where Kuma did, and the lists of a world. A control plane starts and closes it.

    Args:
        host: the host to listen at; an IPv6 address in brackets.
        port: the port to listen at; 0 lets the kernel choose.
        tls: the certificate, to serve HTTPS; None for HTTP.
        advertised: the host in the catalog; localhost by default, as in Kuma.
        kubernetes: whether the control plane runs on Kubernetes.
        zones: the zones of a global control plane; empty for a control plane of one zone.
        has_mads: whether MADS is switched on.
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
        has_mads: bool = True,
    ) -> None:
        self.has_mads = has_mads
        self.kubernetes = kubernetes
        self.zones = tuple(zones)
        self._host = host
        self._port = port
        self._tls = tls
        self._advertised = advertised
        self._documents: dict[str, Mapping[str, Any]] = {}
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
        *,
        mads_tls: bool = False,
    ) -> None:
        """Listen.

        Args:
            line: the Kuma version to simulate.
            mads_port: the port of MADS.
            recorded: a recorded catalog to serve, with the address of MADS replaced; None for a generated one.
            lists: answers requests for lists; None if there are none.
            mads_tls: whether MADS is served over TLS.

        Raises:
            ConfigError: it cannot listen there.
        """
        mads = f"grpc://{self._advertised}:{mads_port}"
        self._documents = {"/config": self._config(mads_port, tls=mads_tls)}
        if recorded is not None:
            self._documents["/catalog"] = _with_mads_at(mads, recorded)
        elif line.catalog is not Catalog.NONE:
            self._documents["/catalog"] = _catalog(line, mads)
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
        document = self._documents.get(request.path)
        if document is None:
            return (self._lists(request) if self._lists else None) or not_found()
        if request.method != "GET":
            return ServerResponse(405, [b"405: Method Not Allowed"])
        return ServerResponse(200, [json.dumps(document, indent=1).encode()], JSON)

    def _config(self, mads_port: int, *, tls: bool) -> dict[str, Any]:
        """Return the configuration of the control plane, as far as clients read it."""
        return {
            "mode": "global" if self.zones else "zone",
            "environment": "kubernetes" if self.kubernetes else "universal",
            "monitoringAssignmentServer": {"enabled": self.has_mads, "port": mads_port, "tlsEnabled": tls},
        }


def _catalog(line: KumaVersion, mads: str) -> dict[str, Any]:
    local = {"localUrl": "http://localhost:5679", "publicUrl": ""}
    apis: dict[str, Any] = {"bootstrap": {"url": "http://localhost:5682"}, "dataplaneToken": local}
    if line.catalog is Catalog.WITH_MADS:
        apis |= {"admin": local, "monitoringAssignment": {"url": mads}}
    return {"apis": apis}


def _with_mads_at(mads: str, recorded: Mapping[str, Any]) -> dict[str, Any]:
    return {"apis": {**recorded["apis"], "monitoringAssignment": {"url": mads}}}
