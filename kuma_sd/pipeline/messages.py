"""Define the messages to the pipeline's thread: events of sources, settings, accept."""

from collections.abc import Sequence

import msgspec

from kuma_sd.core.model import SourceEvent
from kuma_sd.pipeline.chain_outputs import ChainOutputs
from kuma_sd.pipeline.control_plane import ControlPlaneConfig


class Configuration(msgspec.Struct, frozen=True):
    """The part of the settings that concerns the pipeline. The main thread opens everything in it.

    Args:
        control_planes: the configuration of each control plane.
        chains: the chains, each with its outputs.
        start_wait: for how long to wait for control planes that do not respond, in seconds.
        in_effect: which settings these are, for the log.
    """

    control_planes: Sequence[ControlPlaneConfig]
    chains: Sequence[ChainOutputs]
    start_wait: float = 30.0
    in_effect: str = "new settings in effect"


class FromSource(msgspec.Struct, frozen=True):
    """An event of a source.

    Args:
        source: the number of the source.
        event: the event.
    """

    source: int
    event: SourceEvent


class Accept(msgspec.Struct, frozen=True):
    """Release held targets.

    Args:
        control_plane: the name of a control plane; None for all.
    """

    control_plane: str | None = None


Message = FromSource | Configuration | Accept
"""What the pipeline's thread takes from its mailbox."""
