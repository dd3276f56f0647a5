"""Write all files of an output."""

import contextlib
import time
from collections.abc import Callable, Collection, Mapping, Sequence

from kuma_sd import Logger, OutputError, Publication, lines_in
from kuma_sd_bundled.file_sd.division_among_files import Division, Undivided
from kuma_sd_bundled.file_sd.layout import Layout
from kuma_sd_bundled.file_sd.parts import Place
from kuma_sd_bundled.file_sd.parts_overlap import PartCounts
from kuma_sd_bundled.file_sd.target_file import TargetFile

_log = Logger(__name__)


class Writer:
    """Updates files; a target that moves is removed from its old file only after it is in the new one.

    Only one thread may use it at a time.

    Args:
        layout: the files of the output.
        counts: the number of parts, and former numbers.
        renew: called before a file is written, to make sure that no other process writes it.
        saw: called with each written file.
    """

    def __init__(
        self, layout: Layout, counts: PartCounts, renew: Callable[[], None], saw: Callable[[TargetFile], None]
    ) -> None:
        self._layout = layout
        self._counts = counts
        self._renew = renew
        self._saw = saw
        self._division = division_of(layout, counts.all)
        self._saved: object = None
        self.files = {place: TargetFile(layout.path(place), layout.options, renew) for place in self._places()}

    @property
    def targets(self) -> int:
        """The number of target groups in the last publication."""
        publication = self._division.publication
        return len(publication.groups) if publication else 0

    @property
    def next_end(self) -> float | None:
        """The seconds until `end_overlaps()` has something to do; None if it has not until the next publication."""
        return self._counts.next_end if self._division.publication else None

    def prepare(self) -> None:
        """Create the missing files of parts, empty.

        Prometheus sees a new file in a watched directory at once, but a new directory only when it rereads everything.

        Raises:
            OutputError: a file cannot be created.
        """
        if self._layout.has_parts:
            for file in self.files.values():
                file.make()
            self._save()

    def publish(self, publication: Publication) -> None:
        """Update the files; one that cannot be written does not keep the others from being updated.

        Raises:
            OutputError: a file cannot be written; it stays as it was.
        """
        self._division.update(publication, self._found() if self._division.publication is None else {})
        self._write()
        self._division.settle()
        self._write()
        for count in self._counts.begin():
            self._say_begun(count)
        self._save()
        self.end_overlaps()

    def end_overlaps(self) -> None:
        """Remove targets from their old parts where the overlap is over.

        Raises:
            OutputError: a file cannot be written; it is retried with the next publication.
        """
        due, publication = self._counts.due, self._division.publication
        if not due or publication is None:
            return
        # An overlap that an operator ended may not have begun, because a file could not be written.
        self._write()
        self._division = division_of(self._layout, self._counts.all - due)
        self._division.update(publication)
        self._write()
        self._counts.forget(due)
        self._save()
        places = set(self._places())
        self.files = {place: file for place, file in self.files.items() if place in places}
        for count in sorted(due):
            _log.info("an overlap is over: targets left the old parts", parts=self._counts.current, old_parts=count)

    def release(self) -> None:
        """Release the files, which stay as they are."""
        for file in self.files.values():
            file.release()

    def _places(self) -> Sequence[Place]:
        return self._layout.places(max(self._counts.all))

    def _write(self) -> None:
        failures = []
        # The last shard first, so that a target that moves to a new shard is briefly in two shards, not in none.
        for place, file in reversed(self.files.items()):
            try:
                if file.publish(self._division.lines(place)):
                    self._saw(file)
            except OutputError as error:
                failures.append(error)
        if failures:
            others = f"; {len(failures) - 1} more of its files failed too" if len(failures) > 1 else ""
            raise OutputError(f"{failures[0]}{others}") from failures[0]

    def _found(self) -> Mapping[Place, Collection[bytes]]:
        """Return the lines in the files of shards, which may have been divided in another way."""
        if self._layout.options.shards is None:
            return {}
        found = {}
        for place, file in self.files.items():
            with contextlib.suppress(OSError):
                found[place] = frozenset(lines_in(file.content()))
        return found

    def _save(self) -> None:
        if self._layout.has_parts and (saved := self._counts.state) != self._saved:
            self._counts.save(self._layout.record)
            self._saved = saved

    def _say_begun(self, count: int) -> None:
        current, until = self._counts.current, time.strftime("%H:%M:%S", time.localtime(self._counts.until(count)))
        # After `kuma-sd run --once`, no process may run when an overlap is over.
        if count < current:
            _log.warning(
                "targets are divided into more parts, and stay in the old ones too for a while: until then, configure "
                "Prometheus for all parts (`kuma-sd prometheus-config`); a kuma-sd that runs then or later takes them "
                "out of the old ones, a daemon also when you `kuma-sd accept`",
                parts=current,
                old_parts=count,
                until=until,
            )
        else:
            _log.info(
                "targets are divided into fewer parts, and stay in the others too for a while; a kuma-sd that runs "
                "then or later empties these",
                parts=current,
                old_parts=count,
                until=until,
            )


def division_of(layout: Layout, counts: Collection[int]) -> Division | Undivided:
    """Return an object that divides publications by these numbers of parts."""
    return Undivided() if layout.is_one_file else Division(layout.rule(counts))
