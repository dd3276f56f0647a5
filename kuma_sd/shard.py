"""Dividing targets over several Prometheus servers: which shard a text belongs to."""

import hashlib
from collections.abc import Callable, Mapping


def hashmod(text: str, shards: int) -> int:
    """Return the shard that Prometheus's relabel action ``hashmod`` computes.

    Args:
        text: what to divide by, most often the value of ``__address__``.
        shards: how many there are; at least 1.

    Returns:
        A number from 0 to ``shards - 1``. When ``shards`` changes, nearly everything moves.
    """
    return _hash(text) % shards


def consistent(text: str, shards: int) -> int:
    """Return a shard so that one more shard moves no more than its share: 1/(n+1) from n to n+1.

    This is the jump consistent hash of Lamping and Veach (https://arxiv.org/abs/1406.2294). Shards can be added and
    removed at the end only.

    Args:
        text: what to divide by, most often the value of ``__address__``.
        shards: how many there are; at least 1.

    Returns:
        A number from 0 to ``shards - 1``.
    """
    return _jump(_hash(text), shards)


METHODS: Mapping[str, Callable[[str, int], int]] = {"hashmod": hashmod, "consistent": consistent}
"""The functions by the names they have in settings."""


def _hash(text: str) -> int:
    """Return what Prometheus does: the last 8 bytes of the MD5 sum, big-endian."""
    return int.from_bytes(hashlib.md5(text.encode(), usedforsecurity=False).digest()[8:], "big")


def _jump(key: int, shards: int) -> int:
    shard, following = 0, 0
    while following < shards:
        shard = following
        key = (key * 2862933555777941757 + 1) % (1 << 64)
        following = int((shard + 1) * ((1 << 31) / ((key >> 33) + 1)))
    return shard
