"""The source of one control plane: a snapshot for each response, over whatever is spoken."""

import logging
import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from kuma_sd.core.errors import ConfigError, SourceError
from kuma_sd.core.model import Snapshot
from kuma_sd.http.access import Access
from kuma_sd.http.address import parse_address
from kuma_sd.mads.decoder import Decoder
from kuma_sd.mads.errors import GarbledError
from kuma_sd.mads.negotiation import Negotiation
from kuma_sd.mads.plugin import MadsOptions
from kuma_sd.plugin.interfaces import SourceStatus
from kuma_sd.system.file_watcher import FileWatcher

_log = logging.getLogger(__name__)


class MadsSource:
    """Streams the snapshots of one control plane.

    Args:
        address: its URL; replicas stand behind commas.
        options: how to talk to it.
        control_plane: its name; empty for the only one.

    Raises:
        ConfigError: the address or the options cannot be used.
    """

    def __init__(self, address: str, options: MadsOptions, control_plane: str) -> None:
        parsed = parse_address(address)
        _check(options)
        self._replicas = parsed.replicas
        self._access = Access(options, parsed.user)
        self._options = options
        self._control_plane = control_plane
        # Kept over connections, so that a reconnect decodes nothing that did not change.
        self._decoder = Decoder(control_plane)
        self._lock = threading.Lock()
        self._negotiation: Negotiation | None = None
        self._closed = False
        self._connections = 0
        self._garbled = 0
        self._said_empty = False
        self.status = SourceStatus()
        if options.tls_insecure_skip_verify:
            _log.warning("%s: any certificate is trusted (tls-insecure-skip-verify)", self._replicas[0])

    def __iter__(self) -> Iterator[Snapshot]:
        """Connect to one replica, the next one each time, and yield a snapshot for each response."""
        replica = self._replicas[self._connections % len(self._replicas)]
        self._connections += 1
        negotiation = Negotiation(replica, self._options, self._access)
        self._claim(negotiation)
        watcher = self._watch_files(negotiation)
        try:
            for response in negotiation:
                now = time.time()
                self.status = self._heard(negotiation, 0 if response is None else response.size, now)
                if response is not None:
                    assignments, complete = self._decoder.decode(response)
                    self.status = self._understood()
                    self._say_empty(empty=not assignments)
                    unreadable = frozenset[bytes]() if complete else frozenset({b"unreadable"})
                    yield Snapshot(self._control_plane, assignments, now, negotiation.connected, unreadable)
                # Nothing of a large response may stay while the next one is awaited.
                del response
        except GarbledError:
            self._garbled += 1
            raise
        finally:
            watcher.close()
            negotiation.close()
            # A stream was heard until it broke; a poll was when it was answered last.
            stream = self.status.connected and "gRPC" in self.status.protocol
            heard = time.time() if stream else self.status.heard
            self.status = replace(self._understood(), connected=False, heard=heard, since=None)

    def close(self) -> None:
        """End the iteration at once, from any thread."""
        with self._lock:
            self._closed = True
            if self._negotiation:
                self._negotiation.close()

    def _heard(self, negotiation: Negotiation, size: int, now: float) -> SourceStatus:
        before = self.status
        return replace(
            before,
            connected=True,
            heard=now,
            protocol=negotiation.protocol,
            why=negotiation.why,
            since=before.since or now,
            responses=before.responses + 1,
            received=before.received + size,
        )

    def _understood(self) -> SourceStatus:
        parse_errors = self._decoder.parse_errors + self._garbled
        return replace(self.status, unparsed=self._decoder.unparsed, parse_errors=parse_errors)

    def _watch_files(self, negotiation: Negotiation) -> FileWatcher:
        """End the connection when a certificate or token changes; the next one reads them anew."""

        def renew(changed: Iterable[Path]) -> None:
            names = ", ".join(str(path) for path in changed)
            _log.info("control plane %s: %s changed, connecting again", self._control_plane or self._replicas[0], names)
            negotiation.close()

        watcher = FileWatcher(self._access.files, renew)
        if self._access.files:
            threading.Thread(target=watcher.run, name="watch certificates", daemon=True).start()
        return watcher

    def _claim(self, negotiation: Negotiation) -> None:
        with self._lock:
            self._negotiation = negotiation
            if self._closed:
                raise SourceError("the source was closed")

    def _say_empty(self, *, empty: bool) -> None:
        if empty and not self._said_empty:
            _log.info(
                "control plane %s has no assignments for the client %r: no mesh has metrics, it has just started, "
                "or each MeshMetric names other clients (clientId there, name here)",
                self._control_plane or self._replicas[0],
                self._options.name,
            )
        self._said_empty = empty


def _check(options: MadsOptions) -> None:
    if bool(options.tls_cert_file) != bool(options.tls_key_file):
        raise ConfigError("tls-cert-file and tls-key-file go together")
    if options.tls_insecure_skip_verify and options.transport == "grpc":
        raise ConfigError("tls-insecure-skip-verify works over HTTP only: set transport to auto or http")
    if options.api_version == "v1alpha1" and options.transport == "http":
        raise ConfigError("MADS v1alpha1 is spoken over gRPC only: set transport to auto or grpc")
