"""Keep an edge's copy of the relay: buckets with checked digests, and the assignments in them."""

import itertools
import random
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any

from kuma_sd import Assignment, Key
from kuma_sd_redis.codec import GROUP
from kuma_sd_redis.connection import Connection
from kuma_sd_redis.layout import Entry, Head, Keys, Position, decode, digest_of, mesh_of, target_of, total, weight

READ_TOGETHER = 64
"""Number of buckets that are read at once."""

SCANNED_TOGETHER = 1000
"""Number of groups of a bucket that are read at once."""

ATTEMPTS = 3
"""Maximum number of attempts to read a bucket that changes meanwhile."""


class BucketReader:
    """Follows buckets; each is always at exactly one revision.

    Args:
        control_plane: the edge's name for the relay.
        keys: of the relay.
        buckets: the numbers of those that are wanted.
    """

    def __init__(self, control_plane: str, keys: Keys, buckets: Iterable[int]) -> None:
        self.numbers = tuple(buckets)
        self.positions: dict[int, Position] = {}
        self.unpublished: set[int] = set()
        self.reloads = 0
        self.newest = 0.0
        self._control_plane = control_plane
        self.keys = keys
        self._contents: dict[int, dict[str, Assignment]] = {number: {} for number in self.numbers}
        self._ordered: list[Assignment] = []
        # References, since the identity of what is freed may be another's soon.
        self._gone: dict[int, Assignment] = {}
        self._fresh: list[Assignment] = []

    @property
    def complete(self) -> bool:
        """Whether every bucket was read once."""
        return len(self.positions) == len(self.numbers)

    @property
    def changed(self) -> bool:
        """Whether the next `assignments()` differs from the last."""
        return bool(self._gone or self._fresh)

    def assignments(self) -> Sequence[Assignment]:
        """Return all assignments, sorted; unchanged ones are the same objects as before."""
        if self.changed:
            gone = self._gone
            merged = [entry for entry in self._ordered if id(entry) not in gone]
            merged += [entry for entry in self._fresh if id(entry) not in gone]
            # Two sorted parts, which sorting notices.
            merged.sort(key=attrgetter("key"))
            self._ordered = merged
            self._gone = {}
            self._fresh = []
        return self._ordered

    def apply(self, entries: Mapping[int, Iterable[bytes]]) -> set[int]:
        """Apply received entries.

        Returns:
            The buckets to check, because their entries do not follow their present revision.

        Raises:
            FormatError: another version wrote it.
        """
        doubtful = set()
        for number, some in entries.items():
            if number in self._contents and not self._follow(number, map(decode, some)):
                doubtful.add(number)
        return doubtful

    def catch_up(self, connection: Connection, numbers: Iterable[int], spread: Callable[[], None]) -> set[int]:
        """Check buckets, and read what is missing: from the log if it reaches back far enough, else as a whole.

        Args:
            connection: to Redis.
            numbers: which.
            spread: waits, so that not all edges read at the same time; called before buckets are read as a whole.

        Returns:
            The buckets that changed all the time while they were read.

        Raises:
            RelayError: Redis cannot be read.
            FormatError: another version wrote it.
        """
        wanted = sorted(numbers)
        behind: list[int] = []
        foreign: list[int] = []
        for number, head in zip(wanted, self._heads(connection, wanted), strict=True):
            position = self.positions.get(number)
            if head is None or head == position:
                continue
            follows = position and (position.epoch == head.epoch and position.revision < head.revision)
            (behind if follows else foreign).append(number)
        foreign += self._replay(connection, behind)
        if foreign:
            spread()
        for _ in range(ATTEMPTS):
            foreign = [entry for some in _batches(foreign) for entry in self._read(connection, some)]
        return set(foreign)

    def _heads(self, connection: Connection, numbers: Sequence[int]) -> list[Position | None]:
        heads = connection.run([("GET", self.keys.head(number)) for number in numbers])
        # What was never published, or is no longer there after Redis lost it, is no news: what we have stays.
        self.unpublished |= {number for number, head in zip(numbers, heads, strict=True) if head is None}
        self.unpublished -= {number for number, head in zip(numbers, heads, strict=True) if head is not None}
        return [None if head is None else Head.parse(head).position for head in heads]

    def _replay(self, connection: Connection, numbers: Sequence[int]) -> Iterator[int]:
        """Apply the entries in the logs; yield buckets for which they are not enough."""
        logs = connection.run(
            [("XRANGE", self.keys.log(entry), f"{self.positions[entry].revision + 1}-0", "+") for entry in numbers]
        )
        for number, log in zip(numbers, logs, strict=True):
            entries = _entries(log)
            if not entries or not self._follow(number, entries):
                yield number

    def _follow(self, number: int, entries: Iterable[Entry]) -> bool:
        """Apply entries that follow the present revision; tell whether all did."""
        followed = [self._apply(number, entry) for entry in entries]
        return all(followed)

    def _apply(self, number: int, entry: Entry) -> bool:
        """Apply an entry if it follows the present revision and has the right digest."""
        position = self.positions.get(number)
        if not position or (entry.epoch, entry.revision) != (position.epoch, position.revision + 1):
            return False
        if not entry.before or int(entry.before, 16) != position.digest:
            return False
        content = self._contents[number]
        lines = {name: bytes(line) for name, line in entry.set.items()}
        old = [name for name in {**entry.set, **dict.fromkeys(entry.remove)} if name in content]
        weights = [weight(name, line) for name, line in lines.items()]
        weights += [-weight(name, content[name].data) for name in old]
        digest = total(weights, position.digest)
        if digest != int(entry.after, 16):
            return False
        self._update(content, entry.remove, lines)
        self.positions[number] = Position(entry.epoch, entry.revision, digest)
        self.newest = max(self.newest, entry.time)
        return True

    def _read(self, connection: Connection, numbers: Sequence[int]) -> list[int]:
        """Read whole buckets; return those that changed too much in the meantime."""
        heads = self._heads(connection, numbers)
        present = [(number, head) for number, head in zip(numbers, heads, strict=True) if head]
        contents = self._scan(connection, [number for number, _ in present])
        logs = connection.run(
            [("XRANGE", self.keys.log(entry), f"{head.revision + 1}-0", "+") for entry, head in present]
        )
        again = []
        for (number, head), content, log in zip(present, contents, logs, strict=True):
            position = _completed(content, head, _entries(log))
            if position and digest_of(content) == position.digest:
                known = self._contents[number]
                self._update(known, known.keys() - content.keys(), content)
                self.positions[number] = position
                self.reloads += 1
            else:
                again.append(number)
        return again

    def _scan(self, connection: Connection, numbers: Sequence[int]) -> list[dict[str, bytes]]:
        contents: dict[int, dict[str, bytes]] = {number: {} for number in numbers}
        cursors: dict[int, Any] = dict.fromkeys(numbers, 0)
        while cursors:
            commands = [
                ("HSCAN", self.keys.groups(number), cursor, "COUNT", SCANNED_TOGETHER)
                for number, cursor in cursors.items()
            ]
            # A field that is no text belongs to no digest, so its bucket stays doubtful.
            for number, (cursor, part) in zip(list(cursors), connection.run(commands), strict=True):
                contents[number].update((name.decode(errors="replace"), line) for name, line in part.items())
                cursors[number] = cursor
            cursors = {number: cursor for number, cursor in cursors.items() if int(cursor)}
        return list(contents.values())

    def _update(self, content: dict[str, Assignment], remove: Iterable[str], lines: Mapping[str, bytes]) -> None:
        """Take groups out of a bucket, then put others into it, so that one under another name keeps its key."""
        for name in remove:
            self._forget(content.pop(name, None))
        ordinals = _ordinals(content) if lines.keys() - content.keys() else {}
        for name, line in lines.items():
            old = content.get(name)
            if old and old.data == line:
                continue
            self._forget(old)
            fresh = Assignment(old.key if old else self._key(name, ordinals), line, GROUP)
            content[name] = fresh
            self._fresh.append(fresh)

    def _key(self, name: str, ordinals: dict[str, set[int]]) -> Key:
        """Return the key of a new group; targets of several control planes may have equal names."""
        target = target_of(name)
        taken = ordinals.setdefault(target, set())
        ordinal = next(number for number in itertools.count() if number not in taken)
        taken.add(ordinal)
        return Key(self._control_plane, mesh_of(name), target, ordinal)

    def _forget(self, old: Assignment | None) -> None:
        if old:
            self._gone[id(old)] = old


def _ordinals(content: Mapping[str, Assignment]) -> dict[str, set[int]]:
    """Return the ordinals in use, by the names of targets."""
    ordinals: dict[str, set[int]] = {}
    for assignment in content.values():
        ordinals.setdefault(assignment.key.name, set()).add(assignment.key.ordinal)
    return ordinals


def _completed(content: dict[str, bytes], head: Position, entries: Sequence[Entry]) -> Position | None:
    """Apply the entries since the begin of a scan, which may include them already; return the new position."""
    position = head
    for entry in entries:
        if (entry.epoch, entry.revision) != (position.epoch, position.revision + 1):
            return None
        for name in entry.remove:
            content.pop(name, None)
        content.update((name, bytes(line)) for name, line in entry.set.items())
        position = Position(entry.epoch, entry.revision, int(entry.after, 16))
    return position


def _entries(log: Iterable[tuple[bytes, Mapping[bytes, bytes]]]) -> list[Entry]:
    return [decode(fields.get(b"entry", b"")) for _, fields in log]


def _batches(numbers: Sequence[int]) -> Iterator[Sequence[int]]:
    for first in range(0, len(numbers), READ_TOGETHER):
        yield numbers[first : first + READ_TOGETHER]


def jitter(longest: float) -> float:
    """Return how long to wait before reading what all edges read, in seconds."""
    return random.uniform(0, longest)  # noqa: S311 (spreads load, guards no secret)
