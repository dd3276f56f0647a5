"""Build the HTTP bodies of a list of targets: on request, and each once."""

import contextlib
import hashlib
import importlib
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from kuma_sd import GroupKey, IncrementalCache, Publication, Shard, TargetGroup, hashmod, json_chunks

MOST_DIVISIONS = 4
"""Maximum number of shard counts for which the division of the lines is cached."""

# Targets are similar: a higher level takes twice the time to save a tenth of the bytes.
GZIP_LEVEL = 3

WHOLE_HASH = 2**64
"""Number of shards at which the number of a shard is the hash itself."""


class Hashes:
    """Computes the hashes that divide targets into shards; cached for unchanged targets."""

    def __init__(self) -> None:
        self._memo: IncrementalCache[GroupKey, TargetGroup, int] = IncrementalCache(
            lambda group: hashmod(group.targets[0], WHOLE_HASH)
        )
        self._lock = threading.Lock()

    @property
    def computed(self) -> int:
        """The number of hashes computed so far."""
        return self._memo.computed

    def of(self, publication: Publication) -> Sequence[int]:
        """Return the hashes of a publication's groups, in their order."""
        with self._lock:
            return self._memo.round(publication.groups)


class _Body(NamedTuple):
    etag: str
    chunks: tuple[bytes, ...]
    size: int


class ServedTargets:
    """The bodies of one publication, whole, in shards, and compressed.

    The whole list stays in memory; of the other bodies, the last used stay, up to twice its size. Requests for a body
    that is being built wait for it.

    Args:
        publication: the list.
        hashes: computes the hashes that divide it.
    """

    def __init__(self, publication: Publication, hashes: Hashes) -> None:
        self.lines = publication.lines
        self.made = 0
        """Number of bodies built so far."""
        self._publication = publication
        self._hashes = hashes
        self._making = threading.RLock()
        self._whole: _Body | None = None
        self._others: OrderedDict[tuple[Shard | None, str], _Body] = OrderedDict()
        self._divisions: OrderedDict[int, list[list[bytes]]] = OrderedDict()

    def etag(self, shard: Shard | None, coding: str) -> str:
        """Return the strong entity tag of a body; equal ones have equal tags, also after a restart."""
        return _etag(self._body(shard, "identity").etag, coding)

    def chunks(self, shard: Shard | None, coding: str) -> tuple[bytes, ...]:
        """Return a body in pieces.

        Args:
            shard: which part of the list; None for the whole.
            coding: the compression: one of `CODINGS`, or ``identity``.
        """
        return self._body(shard, coding).chunks

    def _body(self, shard: Shard | None, coding: str) -> _Body:
        with self._making:
            if self._whole is None:
                self._whole = self._plain(self.lines)
            if shard is None and coding == "identity":
                return self._whole
            key = shard, coding
            if key not in self._others:
                self._keep(key, self._other(shard, coding))
            self._others.move_to_end(key)
            return self._others[key]

    def _other(self, shard: Shard | None, coding: str) -> _Body:
        if coding == "identity":
            assert shard is not None
            return self._plain(self._lines_of(shard))
        plain = self._body(shard, "identity")
        return self._made(_etag(plain.etag, coding), CODINGS[coding](plain.chunks))

    def _plain(self, lines: Sequence[bytes]) -> _Body:
        chunks = tuple(json_chunks(lines))
        digest = hashlib.sha256()
        for chunk in chunks:
            digest.update(chunk)
        return self._made(f'"{digest.hexdigest()[:32]}"', chunks)

    def _made(self, etag: str, chunks: Iterable[bytes]) -> _Body:
        self.made += 1
        pieces = tuple(chunks)
        return _Body(etag, pieces, sum(map(len, pieces)))

    def _keep(self, key: tuple[Shard | None, str], body: _Body) -> None:
        assert self._whole is not None
        self._others[key] = body
        while len(self._others) > 1 and sum(other.size for other in self._others.values()) > 2 * self._whole.size:
            self._others.popitem(last=False)

    def _lines_of(self, shard: Shard) -> list[bytes]:
        if shard.of not in self._divisions:
            divided: list[list[bytes]] = [[] for _ in range(shard.of)]
            for line, number in zip(self.lines, self._hashes.of(self._publication), strict=True):
                divided[number % shard.of].append(line)
            self._divisions[shard.of] = divided
            if len(self._divisions) > MOST_DIVISIONS:
                self._divisions.popitem(last=False)
        return self._divisions[shard.of][shard.number]


def _etag(plain: str, coding: str) -> str:
    # A strong tag means that all bytes are equal.
    return plain if coding == "identity" else f'{plain[:-1]}-{coding}"'


def _gzip(chunks: Iterable[bytes]) -> Iterator[bytes]:
    # With a gzip header that holds no time, so that equal lists give equal bodies.
    compressor = zlib.compressobj(GZIP_LEVEL, wbits=16 + zlib.MAX_WBITS)
    yield from filter(None, map(compressor.compress, chunks))
    yield compressor.flush()


def _zstd_compressor() -> Callable[[], Any] | None:
    """Return a factory of zstd compressors, from Python 3.14 or the extra "zstd"; None without both."""
    with contextlib.suppress(ImportError):
        compressor: Callable[[], Any] = importlib.import_module("compression.zstd").ZstdCompressor
        return compressor
    with contextlib.suppress(ImportError):
        zstandard = importlib.import_module("zstandard")
        return lambda: zstandard.ZstdCompressor().compressobj()
    return None


def _zstd(chunks: Iterable[bytes]) -> Iterator[bytes]:
    assert _ZSTD is not None
    compressor = _ZSTD()
    yield from filter(None, map(compressor.compress, chunks))
    yield compressor.flush()


_ZSTD = _zstd_compressor()

# The best first: zstd takes a third of gzip's time for half its bytes.
_ALL: Mapping[str, Callable[[Iterable[bytes]], Iterator[bytes]]] = {"zstd": _zstd, "gzip": _gzip}
CODINGS = {name: coding for name, coding in _ALL.items() if name != "zstd" or _ZSTD}
"""Compressors by the name of the content coding, the best first."""
