"""Run a simulated control plane in a test."""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kuma_sd.simulator import Dataplane, SimulatedControlPlane, World


@contextlib.contextmanager
def control_plane(*dataplanes: "Dataplane | str", refresh: float = 0.0) -> "Iterator[SimulatedControlPlane[World]]":
    """Run a simulated control plane on loopback in a block; ``.url`` is its address, ``.world`` what it serves.

    Args:
        *dataplanes: the dataplanes in its world; a text is the name of a default dataplane.
        refresh: the seconds between two checks of the world for changes; with 0 each change is sent at once.
    """
    from kuma_sd.simulator import Dataplane, SimulatedControlPlane, World  # noqa: PLC0415 (loads gRPC)

    world = World(Dataplane(dataplane) if isinstance(dataplane, str) else dataplane for dataplane in dataplanes)
    with SimulatedControlPlane(world, refresh=refresh) as running:
        yield running
