"""The MADS source of one control plane: a snapshot for each response, over any protocol."""

import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from kuma_sd.core.errors import ConfigError, SourceError
from kuma_sd.core.logger import Logger
from kuma_sd.core.model import Snapshot
from kuma_sd.core.source_status import SourceStatus
from kuma_sd.http.address import Endpoint, parse_address
from kuma_sd.http.proxies import proxy_for
from kuma_sd.http.tls_and_credentials import Access
from kuma_sd.mads.decoder import Decoder
from kuma_sd.mads.errors import GarbledError
from kuma_sd.mads.first_answer_timeout import Patience
from kuma_sd.mads.plugin import MadsOptions
from kuma_sd.mads.protocols import not_over_grpc
from kuma_sd.system.file_watcher import FileWatcher

if TYPE_CHECKING:
    from kuma_sd.mads.negotiation import Negotiation
    from kuma_sd.mads.replicas import Failover

_log = Logger(__name__)


class MadsSource:
    """Streams the snapshots of one control plane.

    Args:
        address: its URL; replicas are separated by commas.
        options: the connection's options.
        control_plane: its name; empty for the only one.

    Raises:
        ConfigError: the address or the options are invalid.
    """

    def __init__(self, address: str, options: MadsOptions, control_plane: str) -> None:
        parsed = parse_address(address)
        _check(options, parsed.replicas)
        self._replicas = parsed.replicas
        self._access = Access(options, parsed.user)
        self._options = options
        self._control_plane = control_plane
        # Kept across connections, so that a reconnect decodes only what changed.
        self._decoder = Decoder(control_plane, options.max_message_size)
        self._patience = {replica: Patience() for replica in parsed.replicas}
        self._lock = threading.Lock()
        self._failover: Failover | None = None
        self._closed = False
        self._connections = 0
        self._garbled = 0
        self.status = SourceStatus()
        if options.tls_insecure_skip_verify:
            _log.warning(
                "any certificate is trusted (tls-insecure-skip-verify)",
                control_plane=self._control_plane or str(self._replicas[0]),
            )

    def __iter__(self) -> Iterator[Snapshot]:
        """Connect to the first replica that responds, and yield a snapshot for each response."""
        from kuma_sd.mads.replicas import Failover  # noqa: PLC0415 (late, since `kuma-sd check` does not connect)

        failover = Failover(self._in_turn(), self._negotiation)
        self._claim(failover)
        watcher = self._watch_files(failover)
        self.status = replace(self.status, awaiting=time.monotonic())
        try:
            attempt = failover.connect()
            connected = time.monotonic()
            for response in attempt:
                now = time.time()
                self.status = self._answered(attempt.negotiation, 0 if response is None else response.size, now)
                if response is not None:
                    assignments, unreadable = self._decoder.decode(response)
                    self.status = self._understood()
                    self._note_empty(empty=not assignments)
                    yield Snapshot(self._control_plane, assignments, now, connected, unreadable)
                # Free a large response before waiting for the next one.
                del response
        except GarbledError:
            self._garbled += 1
            raise
        finally:
            watcher.close()
            failover.close()
            self.status = self._disconnected()

    def close(self) -> None:
        """Close the connection immediately, from any thread."""
        with self._lock:
            self._closed = True
            if self._failover:
                self._failover.close()

    def _in_turn(self) -> Sequence[Endpoint]:
        """Return the replicas, starting with another one each time."""
        place = self._connections % len(self._replicas)
        self._connections += 1
        return self._replicas[place:] + self._replicas[:place]

    def _negotiation(self, replica: Endpoint) -> "Negotiation":
        from kuma_sd.mads.negotiation import Negotiation  # noqa: PLC0415 (as above)

        return Negotiation(replica, self._options, self._access, self._patience[replica])

    def _answered(self, negotiation: "Negotiation", size: int, now: float) -> SourceStatus:
        before, monotonic = self.status, time.monotonic()
        return replace(
            before,
            connected=True,
            last_response=now,
            contact=monotonic,
            due=monotonic + negotiation.next_within,
            awaiting=None,
            protocol=negotiation.protocol,
            endpoint=str(negotiation.endpoint),
            why=negotiation.why,
            since=before.since or now,
            responses=before.responses + 1,
            received=before.received + size,
        )

    def _disconnected(self) -> SourceStatus:
        status = self._understood()
        # A stream was connected until it broke; a poll was at its last response.
        streamed = status.connected and status.due == float("inf")
        contact = time.monotonic() if streamed else status.contact
        return replace(status, connected=False, contact=contact, awaiting=None, since=None)

    def _understood(self) -> SourceStatus:
        parse_errors = self._decoder.parse_errors + self._garbled
        return replace(self.status, parse_errors=parse_errors)

    def _note_empty(self, *, empty: bool) -> None:
        client = f"no policy (MeshMetric) names the client {self._options.name!r}"
        reason = f"{client}, no mesh has metrics, or the control plane has just started"
        if empty and not self.status.note:
            _log.info("no targets", control_plane=self._control_plane or str(self._replicas[0]), reason=reason)
        self.status = replace(self.status, note=reason if empty else "")

    def _watch_files(self, failover: "Failover") -> FileWatcher:
        """Close the connection when a certificate or token file changes; the next connection reads the files again."""

        def renew(changed: Iterable[Path]) -> None:
            names = ", ".join(str(path) for path in changed)
            _log.info(
                "files changed, reconnecting", control_plane=self._control_plane or str(self._replicas[0]), files=names
            )
            failover.close()

        watcher = FileWatcher(self._access.files, renew)
        if self._access.files:
            threading.Thread(target=watcher.run, name="watch certificates", daemon=True).start()
        return watcher

    def _claim(self, failover: "Failover") -> None:
        with self._lock:
            self._failover = failover
            if self._closed:
                raise SourceError("the source was closed")


def _check(options: MadsOptions, replicas: Iterable[Endpoint]) -> None:
    if bool(options.tls_cert_file) != bool(options.tls_key_file):
        raise ConfigError(
            "tls-cert-file and tls-key-file go together",
            option="tls-cert-file" if options.tls_cert_file else "tls-key-file",
        )
    if options.api_version == "v1alpha1" and options.transport == "http":
        raise ConfigError("MADS v1alpha1 is spoken over gRPC only: set transport to auto or grpc", option="transport")
    for replica in replicas:
        # Also rejects an unusable proxy.
        proxy_for(replica, options.proxy)
        if options.transport == "grpc" and (hindrance := not_over_grpc(replica, options)):
            raise ConfigError(f"{hindrance} works over HTTP only: set transport to auto or http", option="transport")
