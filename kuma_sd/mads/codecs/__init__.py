"""How each kind of assignment is split into targets and read: a module and one instance a kind.

Whatever a target came over, it gets the same mesh and name, so that its key outlives upgrades of the control plane.
"""

from collections.abc import Iterable
from typing import Protocol

from kuma_sd.core.model import Codec

Part = tuple[str, str, bytes]
"""Mesh, name and bytes of one target; the bytes are an assignment of their own."""


class ResourceCodec(Codec, Protocol):
    """A codec that also takes apart the resources of a response."""

    type_url: str

    def split(self, resource: bytes) -> Iterable[Part]:
        """Split a resource into its targets; every Kuma so far sends exactly one in each.

        Raises:
            SourceError: the bytes are not such a resource.
        """
