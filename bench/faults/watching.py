"""Let Debian's Prometheus watch the published files during a fault."""

import contextlib
import threading
from collections.abc import Collection, Iterator
from pathlib import Path

from background import in_background
from findings import Outcome
from prometheus import Prometheus, prometheus
from waiting import eventually

_CONFIG = """
scrape_configs:
  - job_name: watched
    file_sd_configs: [{{files: ["{files}"]}}]
    relabel_configs: [{{action: drop, source_labels: [], regex: ""}}]
"""


class Watch:
    """Asks Prometheus once a second which targets it has, in a thread.

    Args:
        server: the Prometheus.
        required: the names that must never vanish from a file once they were all there.
    """

    def __init__(self, server: Prometheus, required: Collection[str]) -> None:
        self._server = server
        self._required = frozenset(required)
        self._closing = threading.Event()
        self.files: set[str] = set()
        self.lost = 0
        self.looks = 0
        self.errors = 0.0

    def run(self) -> None:
        """Look until closed."""
        while not self._closing.wait(1.0):
            self.look()

    def wait(self) -> None:
        """Wait until Prometheus has all targets of a file; it looks for new ones every 5 s."""
        eventually(lambda: self.files, "Prometheus has all targets")

    def close(self) -> None:
        """End run()."""
        self._closing.set()

    def has_all(self) -> bool:
        """Look whether Prometheus has all targets now."""
        return any(there >= self._required for there in self._names().values())

    def look(self) -> None:
        """Look once."""
        names = self._names()
        self.looks += 1
        self.lost += sum(len(self._required - names.get(file, set())) for file in self.files)
        self.files |= {file for file, there in names.items() if there >= self._required}

    def _names(self) -> dict[str, set[str]]:
        """Return the names of the targets that Prometheus has of each file."""
        names: dict[str, set[str]] = {}
        for target in self._server.get("/api/v1/targets?state=dropped")["droppedTargets"]:
            labels = target["discoveredLabels"]
            names.setdefault(labels["__meta_filepath"], set()).add(labels["dataplane"])
        return names


@contextlib.contextmanager
def watched_at_the_end(outcome: Outcome, files: Path, required: Collection[str], *, short: bool) -> Iterator[None]:
    """Have Prometheus watch files that others take away while the block runs; at the end it must have all targets.

    Args:
        outcome: takes note.
        files: where they are: a path, or a pattern.
        required: the names of all targets.
        short: do nothing.
    """
    if short:
        yield
        return
    with _watching(files, required) as watch:
        yield
        eventually(watch.has_all, "Prometheus has all targets at the end")
    outcome.remarks.append(f"Prometheus looked {watch.looks} times and has all at the end")


@contextlib.contextmanager
def watched_if_long(outcome: Outcome, files: Path, required: Collection[str], *, short: bool) -> Iterator[None]:
    """Do as `watched` does once Prometheus has all targets, or nothing in the short form.

    Args:
        outcome: takes note.
        files: where they are: a path, or a pattern.
        required: the names that must never vanish from a file.
        short: do nothing.
    """
    with contextlib.nullcontext() if short else watched(outcome, files, required) as watch:
        if watch:
            watch.wait()
        yield


@contextlib.contextmanager
def watched(outcome: Outcome, files: Path, required: Collection[str]) -> Iterator[Watch]:
    """Have Prometheus watch files while the block runs, and count what it missed.

    Args:
        outcome: takes note.
        files: where they are: a path, or a pattern.
        required: the names that must never vanish from a file once they were all there.
    """
    with _watching(files, required) as watch:
        yield watch
    outcome.lost += watch.lost
    outcome.expect(not watch.errors, f"Prometheus counted {watch.errors:g} read errors")
    outcome.expect(watch.files, "Prometheus never had all targets")
    outcome.remarks.append(f"Prometheus looked {watch.looks} times: {watch.errors:g} read errors, {watch.lost} lost")


@contextlib.contextmanager
def _watching(files: Path, required: Collection[str]) -> Iterator[Watch]:
    directory = files.parent.parent / f"prometheus-of-{files.parent.name}"
    directory.mkdir()
    config = directory / "prometheus.yml"
    config.write_text(_CONFIG.format(files=files))
    with prometheus(config) as server:
        watch = Watch(server, required)
        with in_background(watch.run, watch.close):
            yield watch
        watch.look()
        watch.errors = server.metric("prometheus_sd_file_read_errors_total")
