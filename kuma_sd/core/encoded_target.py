"""Targets whose labels are still encoded: most labels stand in many targets, and need be decoded only once."""

from collections.abc import Hashable, Sequence
from typing import Any, Protocol, runtime_checkable

import msgspec

from kuma_sd.core.model import Codec, Key, Target


class EncodedTarget(msgspec.Struct, frozen=True, gc=False, array_like=True):
    """A `Target` whose labels are still encoded.

    Args:
        labels: as `LabelCodec.label` takes them; of several with one name the last counts.
    """

    control_plane: str
    mesh: str
    service: str
    name: str
    address: str
    scheme: str
    metrics_path: str
    labels: Sequence[Hashable]
    job: str = ""


@runtime_checkable
class LabelCodec(Codec, Protocol):
    """A codec that can leave labels encoded."""

    def read_encoded(self, key: Key, data: bytes) -> EncodedTarget:
        """Decode one target without its labels."""

    def label(self, encoded: Any) -> tuple[str, str]:  # noqa: ANN401 (each codec has its own kind)
        """Decode a label: its name and value."""


def label_codec(codec: Codec) -> LabelCodec:
    """Return a codec that reads the same targets, and can leave labels encoded; the same one if it can."""
    return codec if isinstance(codec, LabelCodec) else _Decoding(codec)


class _Decoding:
    """Reads targets with another codec, which decodes labels: each is a pair of name and value already."""

    def __init__(self, codec: Codec) -> None:
        self.name = codec.name
        self._codec = codec

    def read(self, key: Key, data: bytes) -> Target:
        return self._codec.read(key, data)

    def read_encoded(self, key: Key, data: bytes) -> EncodedTarget:
        one = self._codec.read(key, data)
        facts = one.control_plane, one.mesh, one.service, one.name, one.address, one.scheme, one.metrics_path
        return EncodedTarget(*facts, tuple(one.labels.items()), one.job)

    def label(self, encoded: tuple[str, str]) -> tuple[str, str]:
        return encoded
