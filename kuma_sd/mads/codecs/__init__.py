"""Codecs: split resources into targets and decode them. One module and one instance for each kind of assignment.

A target has the same mesh and name over every protocol, so that its key survives upgrades of the control plane.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Protocol

from kuma_sd.core.model import Codec

Part = tuple[str, str, bytes]
"""Mesh, name and bytes of one target; the bytes are an assignment with this one target."""


class ResourceCodec(Codec, Protocol):
    """A codec that also splits the resources of a response."""

    type_url: str

    def split(self, resource: bytes) -> Iterable[Part]:
        """Split a resource into its targets; all Kuma releases so far send exactly one in each.

        Raises:
            SourceError: the bytes are not a resource of this kind.
        """

    def names(self, resources: Sequence[bytes]) -> Iterator[tuple[str, str] | None]:
        """Yield mesh and name of each resource that has exactly one target; None for one that must be split.

        Args:
            resources: their bytes, together small enough to be parsed at once.
        """

    def refuse_many_values(self, resource: bytes, most: int) -> None:
        """Refuse a resource before it is split if it has too many values.

        Args:
            resource: its bytes.
            most: how many values it may have.

        Raises:
            TooManyValuesError: it has more.
        """
