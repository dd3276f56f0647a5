"""What the pipeline's thread takes from its mailbox: events of sources, settings, accept."""

from collections.abc import Sequence
from dataclasses import dataclass

from kuma_sd.core.model import SourceEvent
from kuma_sd.pipeline.control_plane import ControlPlaneConfig
from kuma_sd.pipeline.route import Route


@dataclass(frozen=True)
class Configuration:
    """What the settings say to the pipeline. The main thread opens everything in it.

    Args:
        control_planes: what is known of each, by the settings.
        routes: the chains and where they lead.
        start_wait: how long to wait for control planes that say nothing, in seconds.
    """

    control_planes: Sequence[ControlPlaneConfig]
    routes: Sequence[Route]
    start_wait: float = 30.0


@dataclass(frozen=True)
class FromSource:
    """Something that a source tells.

    Args:
        source: which one.
        event: what it tells.
    """

    source: int
    event: SourceEvent


@dataclass(frozen=True)
class Accept:
    """Let go of what is held.

    Args:
        control_plane: the name of one; None for all.
    """

    control_plane: str | None = None


Message = FromSource | Configuration | Accept
"""What the pipeline's thread takes from its mailbox."""
