"""Write a publication to the buckets in Redis."""

import secrets
from bisect import bisect_left
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter

import msgspec

from kuma_sd import Change, Publication, TargetGroup
from kuma_sd_redis.connection import Call, Connection, RelayError, Word
from kuma_sd_redis.layout import (
    BUCKETS,
    FORMAT,
    Entry,
    Head,
    Keys,
    Position,
    bucket_of,
    digest_of,
    encode,
    field_of,
    total,
    weight,
)
from kuma_sd_redis.scripts import APPLY, CLAIM, WHOLE

BATCH = 2**20
"""Approximate size of the commands sent before waiting for a response, in bytes."""

READ_TOGETHER = 16
"""Number of buckets that are read at a time."""

LARGEST_NOTIFICATION = 2**14
"""Maximum size of an entry that is sent in a notification, in bytes."""

LONGEST_LOG = 128
"""Maximum number of entries in a bucket's log, however small they are."""

ROUNDS = 3
"""Number of retries for buckets that another publisher changed meanwhile."""


class StaleError(Exception):
    """Another publisher writes with a newer token.

    Args:
        token: the other publisher's token.
    """

    def __init__(self, token: int) -> None:
        super().__init__(token)
        self.token = token


@dataclass
class Delta:
    """The change of one bucket.

    Args:
        bucket: the number of the bucket.
        epoch: its epoch after the change.
        revision: its revision after the change.
        expected: its position before the change; None to replace the whole bucket.
        set: the keys to set, with their lines.
        remove: the keys to remove.
        digest: its digest after the change.
    """

    bucket: int
    epoch: str
    revision: int
    expected: Position | None
    set: dict[str, bytes] = field(default_factory=dict)
    remove: list[str] = field(default_factory=list)
    digest: int = 0

    @classmethod
    def after(cls, bucket: int, position: Position) -> "Delta":
        """Create an empty change that follows a position."""
        return cls(bucket, position.epoch, position.revision + 1, position, digest=position.digest)

    @property
    def position(self) -> Position:
        """The position after the change."""
        return Position(self.epoch, self.revision, self.digest)

    @property
    def size(self) -> int:
        """Its approximate size in bytes."""
        return 500 + sum(map(len, self.set)) + sum(map(len, self.set.values())) + sum(map(len, self.remove))


class Writer:
    """Publishes changes, and records the position of each bucket, so that a change takes one script and no reading.

    Only one thread may use it at a time.

    Args:
        connection: the connection to Redis.
        keys: the keys of the relay.
        leader: the name of this publisher.
        log_size: the size of the changes that are kept for each bucket, in bytes.
    """

    def __init__(self, connection: Connection, keys: Keys, leader: str, log_size: int) -> None:
        self.published: Publication | None = None
        self.positions: dict[int, Position] = {}
        self.replaced = 0
        self.token = 0
        self._connection = connection
        self._keys = keys
        self._leader = leader
        self._log_size = log_size
        # After a failure it is not known what was written: then all buckets are checked again.
        self._certain = False

    def write(self, publication: Publication, token: int) -> None:
        """Write a publication to Redis.

        Raises:
            StaleError: another publisher has a newer token.
            RelayError: writing failed; some buckets may have been changed, each completely.
        """
        known = self._certain and token == self.token
        self.token = token
        self._certain = False
        if known and self.published:
            deltas = self._deltas(publication.since(self.published), self.published)
            differing = self._apply(deltas, publication.received)
        else:
            differing = set(range(BUCKETS))
        self._reconcile(differing, publication)
        self.published = publication
        self._certain = True

    def tend(self, publication: Publication, token: int) -> None:
        """Check whether Redis still has this publication, since a failover may lose it, and write what differs.

        Raises:
            StaleError: another publisher has a newer token.
            RelayError: it failed.
        """
        if not self._certain or token != self.token or publication is not self.published:
            self.write(publication, token)
            return
        self._certain = False
        heads = self._claim(range(BUCKETS))
        self._reconcile(
            {bucket_head for bucket_head, head in heads.items() if head != self.positions[bucket_head]}, publication
        )
        self._certain = True

    def _reconcile(self, buckets: Collection[int], publication: Publication) -> None:
        """Compare buckets of unknown content with the publication, and write what differs."""
        for _ in range(ROUNDS):
            if not buckets:
                return
            heads = self._claim(buckets)
            wanted = _split(publication.groups, buckets)
            deltas = (
                delta
                for some in _batches(sorted(wanted.items()))
                for delta in self._compare([(bucket, heads[bucket], groups) for bucket, groups in some])
            )
            buckets = self._apply(deltas, publication.received)
        if buckets:
            raise RelayError(
                f"another publisher keeps changing {len(buckets)} buckets; set another prefix for one of both"
            )

    def _claim(self, buckets: Collection[int]) -> dict[int, Position | None]:
        """Put our token into the heads of buckets, and return their positions."""
        calls: list[Call] = [([self._keys.head(bucket)], [self.token, self._leader]) for bucket in buckets]
        heads: dict[int, Position | None] = {}
        for bucket, (answer, head) in zip(buckets, self._connection.evaluate(CLAIM, calls), strict=True):
            _check(answer, head)
            # Data of another version is replaced: the holder of the lease decides.
            heads[bucket] = Head.parse(head).position if head.startswith(b"%d " % FORMAT) else None
        return heads

    def _compare(self, some: Sequence[tuple[int, Position | None, list[TargetGroup]]]) -> Iterator[Delta]:
        wanted = {bucket: {field_of(group.key): group.json for group in groups} for bucket, _, groups in some}
        digests = {bucket: digest_of(content) for bucket, content in wanted.items()}
        unequal: dict[int, Position] = {}
        for bucket, head, _ in some:
            if head is None or self._fell_back(bucket, head):
                yield self._replacement(bucket, head, wanted[bucket], digests[bucket])
            elif head.digest != digests[bucket]:
                unequal[bucket] = head
            else:
                self.positions[bucket] = head
        present = self._connection.run([("HGETALL", self._keys.groups(bucket)) for bucket in unequal])
        for (bucket, head), found in zip(unequal.items(), present, strict=True):
            content = {name.decode(errors="replace"): line for name, line in found.items()}
            if digest_of(content) != head.digest:
                yield self._replacement(bucket, head, wanted[bucket], digests[bucket])
            else:
                delta = Delta.after(bucket, head)
                delta.set = {name: line for name, line in wanted[bucket].items() if content.get(name) != line}
                delta.remove = [name for name in content if name not in wanted[bucket]]
                delta.digest = digests[bucket]
                yield delta

    def _fell_back(self, bucket: int, head: Position) -> bool:
        """Tell whether a bucket is behind the position that was written: a failover lost the last writes.

        Revisions would be used twice then, so a new epoch begins.
        """
        left = self.positions.get(bucket)
        return left is not None and left != head and not (head.epoch == left.epoch and head.revision > left.revision)

    def _replacement(self, bucket: int, head: Position | None, content: dict[str, bytes], digest: int) -> Delta:
        epoch = f"{self.token}.{secrets.token_hex(4)}"
        return Delta(bucket, epoch, head.revision + 1 if head else 1, None, content, digest=digest)

    def _deltas(self, change: Change, before: Publication) -> Iterable[Delta]:
        deltas: dict[int, Delta] = {}

        def delta_of(name: str) -> Delta:
            bucket = bucket_of(name)
            if bucket not in deltas:
                deltas[bucket] = Delta.after(bucket, self.positions[bucket])
            return deltas[bucket]

        for group in change.removed:
            name = field_of(group.key)
            delta = delta_of(name)
            delta.remove.append(name)
            delta.digest = total([-weight(name, group.json)], delta.digest)
        for group in change.changed:
            name = field_of(group.key)
            delta = delta_of(name)
            # The keys of what was published are sorted, so nothing of it has to be kept a second time.
            old = before.groups[bisect_left(before.groups, group.key, key=attrgetter("key"))]
            delta.digest = total([-weight(name, old.json)], delta.digest)
        for group in (*change.changed, *change.added):
            name = field_of(group.key)
            delta = delta_of(name)
            delta.set[name] = group.json
            delta.digest = total([weight(name, group.json)], delta.digest)
        return deltas.values()

    def _apply(self, deltas: Iterable[Delta], time: float) -> set[int]:
        """Write deltas in bounded batches; returns the buckets that were not at the expected position."""
        differing: set[int] = set()
        for batch in _bounded(deltas):
            calls = [self._call(delta, time) for delta in batch]
            for delta, (answer, head) in zip(batch, self._connection.evaluate(APPLY, calls), strict=True):
                _check(answer, head)
                if answer == b"done":
                    self.positions[delta.bucket] = delta.position
                    self.replaced += delta.expected is None
                else:
                    differing.add(delta.bucket)
        return differing

    def _call(self, delta: Delta, time: float) -> Call:
        keys, bucket = self._keys, delta.bucket
        hint = Entry(FORMAT, delta.epoch, delta.revision, time, f"{delta.digest:032x}")
        entry = notification = encode(hint)
        if delta.expected:
            lines = {name: msgspec.Raw(line) for name, line in delta.set.items()}
            before = f"{delta.expected.digest:032x}"
            entry = encode(msgspec.structs.replace(hint, before=before, set=lines, remove=delta.remove))
            # One that is larger is read from the log, by each edge when it comes to it.
            notification = entry if len(entry) <= LARGEST_NOTIFICATION else notification
        words: list[Word] = [self.token, self._leader]
        words += [str(delta.expected) if delta.expected else WHOLE, str(Head(self.token, self._leader, delta.position))]
        words += [delta.revision, max(1, min(LONGEST_LOG, self._log_size // len(entry))), entry, notification]
        words += ["SPUBLISH" if self._connection.clustered else "PUBLISH", keys.channel(bucket)]
        words += [len(delta.remove), *delta.remove]
        for pair in delta.set.items():
            words += pair
        return [keys.head(bucket), keys.groups(bucket), keys.log(bucket)], words


def _check(answer: bytes, head: bytes) -> None:
    if answer == b"stale":
        raise StaleError(int(head.split(b" ")[1]))


def _split(groups: Iterable[TargetGroup], buckets: Collection[int]) -> Mapping[int, list[TargetGroup]]:
    parts: dict[int, list[TargetGroup]] = {bucket: [] for bucket in buckets}
    for group in groups:
        part = parts.get(bucket_of(field_of(group.key)))
        if part is not None:
            part.append(group)
    return parts


def _batches(items: Sequence[tuple[int, list[TargetGroup]]]) -> Iterator[Sequence[tuple[int, list[TargetGroup]]]]:
    for first in range(0, len(items), READ_TOGETHER):
        yield items[first : first + READ_TOGETHER]


def _bounded(deltas: Iterable[Delta]) -> Iterator[list[Delta]]:
    batch: list[Delta] = []
    size = 0
    for delta in deltas:
        batch.append(delta)
        size += delta.size
        if size >= BATCH:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
