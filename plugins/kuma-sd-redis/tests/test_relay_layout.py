import random

import pytest

from kuma_sd import GroupKey, Key
from kuma_sd_redis.layout import (
    BUCKETS,
    Entry,
    FormatError,
    Head,
    Keys,
    Position,
    bucket_of,
    decode,
    digest_of,
    encode,
    field_of,
    mesh_of,
    total,
    weight,
)


def test_a_key_as_text_is_unique_and_gives_the_mesh_back() -> None:
    keys = [
        GroupKey(Key("east", "default", "backend-01", 0), 0),
        GroupKey(Key("", "a/b", "c", 0), 1),
        GroupKey(Key("", "a", "b/c", 0), 1),
        GroupKey(Key("", "a%2Fb", "c", 0), 1),
        GroupKey(Key("", "schön", "☃", 12), 3),
    ]
    fields = [field_of(key) for key in keys]
    assert fields[0] == "east/default/backend-01/0/0"
    assert len(set(fields)) == len(keys)
    assert [mesh_of(field) for field in fields] == [key.assignment.mesh for key in keys]


def test_buckets_fill_evenly() -> None:
    counts = [0] * BUCKETS
    for number in range(100 * BUCKETS):
        counts[bucket_of(f"/default/backend-{number}/0/0")] += 1
    assert min(counts) > 50
    assert max(counts) < 160


def test_a_digest_can_be_followed_change_by_change_in_any_order() -> None:
    content = {f"/default/backend-{number}/0/0": f"line {number}".encode() for number in range(100)}
    names = list(content)
    random.Random(1).shuffle(names)
    digest = 0
    for name in names:
        digest = total([weight(name, content[name])], digest)
    assert digest == digest_of(content)
    for name in names[1:]:
        digest = total([-weight(name, content[name])], digest)
    assert digest == digest_of({names[0]: content[names[0]]})


def test_a_digest_tells_fields_and_lines_apart() -> None:
    assert digest_of({"ab": b"c"}) != digest_of({"a": b"bc"})
    assert digest_of({"a": b"1", "b": b"2"}) != digest_of({"a": b"2", "b": b"1"})
    assert digest_of({}) == 0


def test_heads_and_entries_are_read_back() -> None:
    head = Head(7, "host/1/ab", Position("7.0a", 12, 2**127 + 5))
    assert Head.parse(str(head).encode()) == head
    entry = Entry(1, "7.0a", 12, 1.5, f"{5:032x}", f"{4:032x}", {}, ["x"])
    assert decode(encode(entry)) == entry


@pytest.mark.parametrize("data", [b"2 1 x 1.a 1 0", b"9 what ever comes", b"", b"1 2", b"1 x y z 1 0", b"\xff"])
def test_a_head_of_another_format_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        Head.parse(data)


ENTRY = b'{"format":1,"epoch":"%b","revision":2,"time":1,"after":"%b","set":{"a":%b}}'

NO_ENTRIES = [b'{"format":2,"set":7}', b"", b"[]", b'{"format":1}', b"\xff", b'{"format":%b}' % (b"9" * 30)]
NO_ENTRIES += [ENTRY % (b"\xff", b"0" * 32, b"{}"), ENTRY % (b"1", b"0" * 31 + b"g", b"{}"), ENTRY % (b"1", b"", b"{}")]
NO_ENTRIES += [ENTRY % (b"1", b"0" * 32, b"[" * 2000)]


@pytest.mark.parametrize("data", NO_ENTRIES)
def test_an_entry_of_another_format_is_refused(data: bytes) -> None:
    with pytest.raises(FormatError):
        decode(data)


def test_everything_of_a_bucket_has_one_hash_tag() -> None:
    keys = Keys("prod:kuma")
    names = [keys.head(417), keys.groups(417), keys.log(417), keys.channel(417)]
    assert {name[name.index("{") : name.index("}")] for name in names} == {"{prod:kuma:417"}
    assert keys.bucket(keys.channel(417).encode()) == 417
