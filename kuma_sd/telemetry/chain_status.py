"""The status of a chain: the targets whose conversion fails, and what was repaired or lost."""

import msgspec

MOST_QUARANTINED_SHOWN = 20
"""Maximum number of quarantined targets that the status names."""


class Quarantined(msgspec.Struct, frozen=True):
    """A target whose conversion fails: it keeps its last good labels, or is left out if it has none.

    Args:
        control_plane: the name of its control plane.
        mesh: its mesh.
        name: the name of the dataplane.
        why: why its conversion fails.
    """

    control_plane: str
    mesh: str
    name: str
    why: str


class ChainStatus(msgspec.Struct, frozen=True):
    """The status of a chain; replaced whole, never changed.

    Args:
        quarantined: the number of quarantined targets.
        quarantine: some of the quarantined targets, and why.
        without_address: the number of results of transforms dropped so far because they have no address.
        labels_repaired: the number of label names made valid so far.
        labels_collided: the number of labels lost so far because another has the same name once it is valid.
    """

    quarantined: int = 0
    quarantine: tuple[Quarantined, ...] = ()
    without_address: int = 0
    labels_repaired: int = 0
    labels_collided: int = 0
