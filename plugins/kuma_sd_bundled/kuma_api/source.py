"""Poll the API of one control plane as a source."""

import contextlib
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path

from kuma_sd import Access, Context, Endpoint, HttpClient, Logger, Meters, Snapshot, SourceError, SourceStatus
from kuma_sd_bundled.kuma_api.address import api_address
from kuma_sd_bundled.kuma_api.dataplanes import DataplaneReader
from kuma_sd_bundled.kuma_api.doubt_log import DoubtLog
from kuma_sd_bundled.kuma_api.inventory import Inventory
from kuma_sd_bundled.kuma_api.meters import METRICS, PollCounts
from kuma_sd_bundled.kuma_api.options import ApiOptions
from kuma_sd_bundled.kuma_api.poll import Findings, Poller
from kuma_sd_bundled.kuma_api.requests_counted import ANSWER_TIMEOUT_SECONDS, LONGEST_TIMEOUT_SECONDS, CountedRequests
from kuma_sd_bundled.kuma_api.schedule import Schedule

_log = Logger(__name__)

LISTS = b"lists that prove no absence"
"""Digest that marks a snapshot as incomplete until a poll was complete: any target may be missing."""


class ApiSource:
    """Polls the API of one control plane.

    Args:
        options: the options of the source.
        context: the interface to the daemon; replicas in its address are separated by commas.

    Raises:
        ConfigError: the address or the options cannot be used.
    """

    def __init__(self, options: ApiOptions, context: Context) -> None:
        parsed = api_address(context.address)
        self._replicas = parsed.replicas
        self._options = options
        self._access = Access(options, parsed.user)
        self._name = context.name
        self._reader = DataplaneReader(options.service_label)
        self._poller = Poller(options.name, self._reader, Inventory(context.name, options.zones))
        self._schedule = Schedule(options.api_interval)
        self._title = context.name or str(parsed.replicas[0])
        self._doubt_log = DoubtLog(self._title)
        self._connections = 0
        self._lock = threading.Lock()
        self._closing = threading.Event()
        self._client: HttpClient | None = None
        self._timeout = ANSWER_TIMEOUT_SECONDS
        self._findings: Findings | None = None
        self._unreadable: frozenset[bytes] = frozenset()
        self.counts = PollCounts()
        self.status = SourceStatus()
        for replica in parsed.replicas:
            # Refuses unusable options; missing content of files may appear later.
            with contextlib.suppress(SourceError):
                HttpClient(replica, options, self._access).close()
        if options.tls_insecure_skip_verify:
            _log.warning(
                "any certificate is trusted (tls-insecure-skip-verify)",
                control_plane=context.name or str(parsed.replicas[0]),
            )
        context.register(Meters(METRICS, {"control_plane": context.name}, lambda: self.counts))
        context.report(self._facts)

    def __iter__(self) -> Iterator[Snapshot]:
        """Poll one replica, the next one for each connection, and yield a snapshot for each poll.

        Raises:
            SourceError: it cannot be reached, or a response is not one of Kuma's API.
        """
        replica = self._replicas[self._connections % len(self._replicas)]
        self._connections += 1
        connected = time.monotonic()
        client, files = None, None
        try:
            while not self._closing.wait(self._schedule.wait):
                if not self.status.connected:
                    self.status = replace(self.status, awaiting=time.monotonic())
                present = _stamps(self._access.files)
                if client is None or present != files:
                    # Certificates and tokens are read once for each connection.
                    client = self._connect(replica, client)
                    files = present
                findings = self._poll(CountedRequests(client, self._timeout))
                self.status = self._answered(findings, replica)
                self._note_unreadable(findings)
                yield self._snapshot(findings, connected)
                del findings
            raise SourceError("the source was closed")
        finally:
            if client:
                client.close()
            self.status = replace(self.status, connected=False, awaiting=None, since=None)

    def close(self) -> None:
        """End the iteration immediately; called from any thread."""
        with self._lock:
            self._closing.set()
            if self._client:
                self._client.close()

    def _connect(self, replica: Endpoint, before: HttpClient | None) -> HttpClient:
        if before:
            before.close()
        client = HttpClient(replica, self._options, self._access)
        with self._lock:
            self._client = client
            if self._closing.is_set():
                client.close()
        return client

    def _poll(self, requests: CountedRequests) -> Findings:
        began = time.monotonic()
        try:
            findings = self._poller.poll(requests)
        except BaseException:
            self._schedule.failed(requests.answered_seconds)
            if requests.silent:
                self._timeout = min(2 * self._timeout, LONGEST_TIMEOUT_SECONDS)
            self._count(requests, finished=0)
            raise
        seconds = time.monotonic() - began
        self._schedule.finished(seconds)
        self._doubt_log.note(findings.doubts)
        self._count(requests, finished=1)
        self.counts = replace(self.counts, seconds=seconds, size=requests.received)
        return findings

    def _count(self, requests: CountedRequests, finished: int) -> None:
        counts = self.counts
        self.counts = replace(
            counts,
            polls=counts.polls + finished,
            requests=counts.requests + requests.requests,
            received=counts.received + requests.received,
            inconsistent=self._doubt_log.count,
            converted=self._reader.converted,
        )

    def _snapshot(self, findings: Findings, connected: float) -> Snapshot:
        unreadable = frozenset(findings.unreadable)
        if findings.doubts and not self._doubt_log.complete_once:
            # Later, targets that a list lacks are known here and stay anyway.
            unreadable |= {LISTS}
        return Snapshot(self._name, findings.assignments, time.time(), connected, unreadable, findings.left_out)

    def _answered(self, findings: Findings, replica: Endpoint) -> SourceStatus:
        before, now = self.status, time.time()
        self._findings = findings
        # The next poll may take twice as long, and one of its responses as long as the timeout.
        within = self._schedule.wait + 2 * (self.counts.seconds or 0.0) + self._timeout
        return replace(
            before,
            connected=True,
            last_response=now,
            contact=time.monotonic(),
            due=time.monotonic() + within,
            awaiting=None,
            protocol="API",
            endpoint=str(replica),
            why=f"API {described(findings)}",
            since=before.since or now,
            responses=before.responses + 1,
            received=self.counts.received,
            parse_errors=before.parse_errors + len(findings.unreadable.keys() - self._unreadable),
            note=self._doubt_log.lasting or findings.why_empty,
        )

    def _note_unreadable(self, findings: Findings) -> None:
        appeared = [item for digest, item in findings.unreadable.items() if digest not in self._unreadable]
        if appeared:
            _log.warning(
                "dataplanes have no name that can be read",
                control_plane=self._title,
                dataplanes=len(appeared),
                reason=appeared[0].reason,
            )
        self._unreadable = frozenset(findings.unreadable)

    def _facts(self) -> Mapping[str, str]:
        if self._findings is None:
            return {}
        counts = self.counts
        return {
            "last poll": f"{counts.seconds or 0:.2f} s, {counts.size or 0:,} bytes",
            "lists": "; ".join(self._findings.doubts) or "consistent",
        }


def described(findings: Findings) -> str:
    """Describe the control plane and the number of items in its lists."""
    whose = "of a global control plane" if findings.remote else "of a control plane"
    counts = [(len(findings.zones), "zone")] if findings.zones else []
    counts.append((findings.dataplanes, "dataplane"))
    parts = [f"{count:,} {noun}{'' if count == 1 else 's'}" for count, noun in counts]
    policies = f"{findings.policies:,} polic{'y' if findings.policies == 1 else 'ies'}"
    return ", ".join([whose, *parts, policies])


def _stamps(files: list[Path]) -> list[tuple[int, int] | None]:
    """Return a stamp of each file that changes with its content."""
    stamps: list[tuple[int, int] | None] = []
    for file in files:
        try:
            stat = file.stat()
        except OSError:
            stamps.append(None)
        else:
            stamps.append((stat.st_ino, stat.st_mtime_ns))
    return stamps
