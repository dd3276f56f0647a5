"""What somebody else wrote into Redis is refused, or makes its bucket doubtful; it never ends an edge by surprise."""

from collections.abc import Sequence
from typing import Any, cast

import pytest

from kuma_sd_redis.bucket_reader import BucketReader
from kuma_sd_redis.connection import Command, Connection
from kuma_sd_redis.layout import FormatError, Keys, Position, digest_of

LINE = b'{"targets":["192.0.2.1:80"],"labels":{}}'


class Answers:
    """Stands in Redis's place: one bucket with this content and log."""

    def __init__(self, content: dict[bytes, bytes], log: Sequence[tuple[bytes, dict[bytes, bytes]]] = ()) -> None:
        digest = digest_of({name.decode(errors="ignore"): line for name, line in content.items()})
        self._answers = {
            "GET": f"1 1 leader {Position('1.a', 1, digest)}".encode(),
            "HSCAN": (0, content),
            "XRANGE": list(log),
        }

    def run(self, commands: Sequence[Command]) -> list[Any]:
        return [self._answers[str(command[0])] for command in commands]


def doubtful(answers: Answers) -> set[int]:
    buckets = BucketReader("", Keys("kuma-sd"), [7])
    return buckets.catch_up(cast("Connection", answers), [7], lambda: None)


def test_what_was_published_is_read() -> None:
    assert doubtful(Answers({b"/m/a/0/0": LINE})) == set()


def test_a_key_that_is_no_text_makes_its_bucket_doubtful() -> None:
    assert doubtful(Answers({b"\xff/m/a/0/0": LINE})) == {7}


@pytest.mark.parametrize("fields", [{b"other": b"x"}, {b"entry": b"\xff"}, {b"entry": b"[" * 2000}, {}])
def test_a_log_of_something_else_is_refused(fields: dict[bytes, bytes]) -> None:
    with pytest.raises(FormatError, match="prefix"):
        doubtful(Answers({b"/m/a/0/0": LINE}, [(b"2-0", fields)]))
