"""What may stand in Redis: heads, contents, logs and notifications, by whoever may write there."""

import contextlib
import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from target import BETWEEN, Target

from kuma_sd import KumaSDError, SourceError
from kuma_sd.pipeline.chain import Chain
from kuma_sd.prometheus.label_profiles import LabelProfile
from kuma_sd.testing import group
from kuma_sd_redis.bucket_reader import BucketReader
from kuma_sd_redis.codec import GROUP
from kuma_sd_redis.connection import Command
from kuma_sd_redis.layout import FORMAT, Entry, Head, Keys, Position, digest_of, encode, field_of

KEYS, CHAIN = Keys("fuzz"), Chain(LabelProfile("both"))

BUCKET = 7


class Redis:
    """Answers the commands of an edge from an input.

    Args:
        head: the bucket's head.
        fields: the names in its hash.
        lines: their values.
        log: the entries of its log.
    """

    def __init__(self, head: bytes, fields: Sequence[bytes], lines: Sequence[bytes], log: Sequence[bytes]) -> None:
        self._content = dict(zip(fields, lines, strict=False))
        # Right for this content, so that inputs get behind the check.
        digest = digest_of({name.decode("utf-8", "replace"): line for name, line in self._content.items()})
        self._head = head.replace(b"DIGEST", b"%032x" % digest)
        self._log = [(b"1-0", {b"entry" if index % 4 else b"other": line}) for index, line in enumerate(log, 1)]

    def run(self, commands: Sequence[Command]) -> list[Any]:
        """Return what each command answers."""
        answers: dict[object, Callable[[], Any]] = {
            "GET": lambda: self._head or None,
            "HSCAN": lambda: (0, self._content),
            "XRANGE": lambda: self._log,
        }
        return [answers[command[0]]() for command in commands]


def take(data: bytes) -> None:
    """Let an edge read a head, a content and a log, then a second head and log, then a notification."""
    head, fields, lines, log, second, news = (data.split(BETWEEN) + [b""] * 6)[:6]
    split = [part.split(b"\n") if part else [] for part in (fields, lines, log, news)]
    buckets = BucketReader("", KEYS, [BUCKET])
    for text in (head, second):
        with contextlib.suppress(KumaSDError):
            buckets.catch_up(Redis(text, *split[:3]), [BUCKET], lambda: None)
            _check(buckets)
    with contextlib.suppress(KumaSDError):
        buckets.apply({BUCKET: split[3]})
        _check(buckets)
    KEYS.bucket(news)


def _check(buckets: BucketReader) -> None:
    """Raise unless the content is that of its digest, and can be published."""
    assignments = buckets.assignments()
    position = buckets.positions.get(BUCKET)
    content = {name: one.data for name, one in buckets._contents[BUCKET].items()}  # noqa: SLF001 (what is looked at)
    assert sorted(content.values()) == sorted(one.data for one in assignments)
    assert digest_of(content) == (position.digest if position else 0)
    for assignment in assignments:
        with contextlib.suppress(SourceError):
            GROUP.read(assignment.key, assignment.data)
    for line in CHAIN.publication(assignments, received=1.0).lines:
        json.loads(line)


def seeds() -> Iterable[bytes]:
    """Return what a publisher would have written."""
    first, second = group("a"), group("b")
    before, both = ({field_of(one.key): one.json for one in some} for some in ((first,), (first, second)))
    digests = [digest_of(content) for content in (before, both)]
    entry = Entry(FORMAT, "1.a", 2, 1.0, f"{digests[1]:032x}", f"{digests[0]:032x}")
    entry.set = {name: line for name, line in both.items() if name not in before}  # type: ignore[misc]
    line = encode(entry)
    head = str(Head(1, "host/1/a", Position("1.a", 1, digests[0]))).encode()
    content = ["\n".join(before).encode(), b"\n".join(before.values())]
    yield BETWEEN.join([head, *content, b"", b"", line])
    yield BETWEEN.join([head, *content, line, head.replace(b" 1 ", b" 2 "), b""])
    head = b"1 1 host/1/a 1.a 1 DIGEST"
    yield BETWEEN.join([head, *content, b"", b"", b"{fuzz:7}:changes"])
    yield BETWEEN.join([head, b"a\nb", b"%b\n%b" % (NESTED, b'{"a":%b}' % NESTED), b"", b"", NESTED])


NESTED = b"[" * 2000

WORDS = (b'"set":{', b'"remove":[', b'"before":"', b'"after":"', b'"targets":[', b'"labels":{', b"DIGEST", BETWEEN)

TARGETS = {"redis": lambda: Target(take, seeds, WORDS)}
