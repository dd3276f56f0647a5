"""Hooks that are called when something happened. Any number of plugins may listen; nothing waits for them.

All of them run in one thread that does nothing else, in the order of the events. A listener names only the arguments
that it wants.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from kuma_sd.plugin.hookspecs import hookspec

if TYPE_CHECKING:
    from kuma_sd.core.publication import Publication
    from kuma_sd.core.publication_change import Change


@hookspec
def kuma_sd_started(control_planes: "Sequence[str]", outputs: "Sequence[str]") -> None:
    """Tell that the daemon has started all threads; nothing may be published yet.

    Args:
        control_planes: each control plane's name, or its address if it has no name.
        outputs: the names of the outputs.
    """
    raise NotImplementedError


@hookspec
def kuma_sd_stopping() -> None:
    """Tell that the daemon begins to stop; listeners have half a second together."""
    raise NotImplementedError


@hookspec
def kuma_sd_reloaded(error: str) -> None:
    """Tell that the settings were read again.

    Args:
        error: why the new settings were refused, so that the old ones stay; empty if they are in effect.
    """
    raise NotImplementedError


@hookspec
def kuma_sd_connected(control_plane: str, protocol: str, endpoint: str) -> None:
    """Tell that a connection to a control plane brought its first targets.

    Args:
        control_plane: its name, or its address if it has no name.
        protocol: the protocol of the connection, like ``v1 gRPC``.
        endpoint: the server that it leads to, like ``kuma.internal:5676``; may be empty.
    """
    raise NotImplementedError


@hookspec
def kuma_sd_connection_lost(control_plane: str, reason: str) -> None:
    """Tell that such a connection ended. Its targets stay published.

    Args:
        control_plane: its name, or its address if it has no name.
        reason: why the connection ended.
    """
    raise NotImplementedError


@hookspec
def kuma_sd_hold_began(control_plane: str, targets: int, reason: str, suspicious: bool) -> None:  # noqa: FBT001 (hooks are called by name)
    """Tell that the guard began to hold targets that vanished, or that what it holds became suspicious.

    Args:
        control_plane: its name, or its address if it has no name.
        targets: the number of targets held so far.
        reason: why they are held.
        suspicious: somebody should look; False for a few targets that vanished shortly after a reconnect.
    """
    raise NotImplementedError


@hookspec
def kuma_sd_hold_ended(control_plane: str) -> None:
    """Tell that the guard holds no target of a control plane anymore: they returned or were released.

    Args:
        control_plane: its name, or its address if it has no name.
    """
    raise NotImplementedError


@hookspec
def kuma_sd_published(output: str, publication: "Publication", change: "Change") -> None:
    """Tell that an output published something new.

    Args:
        output: the output's name.
        publication: what it published: all target groups.
        change: what was added, removed and changed since the last call for this output, or since the output's last
            publication before the plugin was loaded; at the first publication after a start everything is added.
    """
    raise NotImplementedError
