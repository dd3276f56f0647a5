"""Compute the shard of each target, to divide targets among several Prometheus servers."""

import re
from collections.abc import Callable, Mapping
from typing import NamedTuple

import msgspec

from kuma_sd.core.errors import ConfigError
from kuma_sd.core.options import OptionType
from kuma_sd.core.target_group import TargetGroup

__all__ = ["MOST_SHARDS", "SHARD", "SHARDING_METHODS", "Shard", "Sharding", "consistent", "hashmod"]

# A shard may be a file that stays locked, and so open; most processes may open 1,024 files.
MOST_SHARDS = 256
"""Maximum number of shards."""


def hashmod(text: str, shards: int) -> int:
    """Return the shard that Prometheus's relabel action ``hashmod`` computes.

    Args:
        text: the value to hash, usually that of ``__address__``.
        shards: the number of shards; at least 1.

    Returns:
        A number from 0 to ``shards - 1``. When ``shards`` changes, nearly all targets move to another shard.
    """
    return _hash(text) % shards


def consistent(text: str, shards: int) -> int:
    """Return a shard by consistent hashing: going from n to n+1 shards moves only 1/(n+1) of the targets.

    This is the jump consistent hash of Lamping and Veach (https://arxiv.org/abs/1406.2294). Shards can only be added
    and removed at the end.

    Args:
        text: the value to hash, usually that of ``__address__``.
        shards: the number of shards; at least 1.

    Returns:
        A number from 0 to ``shards - 1``.
    """
    return _jump(_hash(text), shards)


SHARDING_METHODS: Mapping[str, Callable[[str, int], int]] = {"hashmod": hashmod, "consistent": consistent}
"""The sharding functions by their names in settings."""


class Sharding:
    """Computes the shard of a target group. It has no state, so any thread may use it.

    Args:
        count: the number of shards, from 1 to `MOST_SHARDS`.
        by: the label whose value is hashed; ``__address__`` is the group's target, and an absent label is empty.
        method: a name in `SHARDING_METHODS`.

    Raises:
        ConfigError: the number of shards is out of range, or there is no such method.
    """

    def __init__(self, count: int, by: str = "__address__", method: str = "hashmod") -> None:
        if not 1 <= count <= MOST_SHARDS:
            raise ConfigError(f"{count} is no number of shards; set one from 1 to {MOST_SHARDS}")
        if method not in SHARDING_METHODS:
            raise ConfigError(f"there is no shard method {method!r}; set one of {', '.join(SHARDING_METHODS)}")
        self.count = count
        self.shard_of: Callable[[TargetGroup], int] = _rule(count, by, SHARDING_METHODS[method])


class Shard(NamedTuple):
    """One of several shards, written ``2/8``.

    Args:
        number: the number of this shard, from 0.
        of: the number of all shards.
    """

    number: int
    of: int

    def __str__(self) -> str:
        return f"{self.number}/{self.of}"


def _parse_shard(text: str) -> Shard:
    found = re.fullmatch(r"([0-9]{1,9})/([0-9]{1,9})", text)
    if not found:
        raise ValueError("is no shard like 2/8, the third of eight")
    shard = Shard(int(found[1]), _parse_count(found[2]))
    if shard.number >= shard.of:
        raise ValueError(f"is no shard; the first of {shard.of} is 0/{shard.of}, the last {shard.of - 1}/{shard.of}")
    return shard


def _parse_count(text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text) or not 1 <= int(text) <= MOST_SHARDS:
        raise ValueError(f"is no number of shards from 1 to {MOST_SHARDS}")
    return int(text)


SHARD = OptionType("i/n", _parse_shard)
"""Type of an option that names one shard."""


class _Addressed(msgspec.Struct):
    targets: list[str]


def _rule(count: int, by: str, method: Callable[[str, int], int]) -> Callable[[TargetGroup], int]:
    if by != "__address__":
        return lambda group: method(group.labels.get(by, ""), count)
    # Decodes only the target of a group, which halves the time for all groups at the start.
    decoder = msgspec.json.Decoder(_Addressed)
    return lambda group: method(decoder.decode(group.json).targets[0], count)


def _hash(text: str) -> int:
    """Hash a text as Prometheus does: the last 8 bytes of the MD5 sum, big-endian."""
    import hashlib  # noqa: PLC0415 (late, since it loads OpenSSL, and most settings have no shards)

    return int.from_bytes(hashlib.md5(text.encode(), usedforsecurity=False).digest()[8:], "big")


def _jump(key: int, shards: int) -> int:
    shard, following = 0, 0
    while following < shards:
        shard = following
        key = (key * 2862933555777941757 + 1) % (1 << 64)
        following = int((shard + 1) * ((1 << 31) / ((key >> 33) + 1)))
    return shard
