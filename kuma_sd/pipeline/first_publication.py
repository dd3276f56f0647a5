"""Decide when the first publication after a start may go out."""

from kuma_sd.pipeline.control_planes import ControlPlanes


def may_publish_first(control_planes: ControlPlanes, waited: float, start_wait: float) -> bool:
    """Tell whether the first list may be published.

    It waits until the targets of every control plane are known, from a response or from the saved state; after
    ``start-wait`` one control plane is enough. Without any, nothing is published: an empty list would remove all
    targets.

    Args:
        control_planes: the control planes.
        waited: for how long the daemon has been running, in seconds.
        start_wait: for how long to wait for control planes that do not respond, in seconds.
    """
    if all(control_plane.known for control_plane in control_planes.configured.values()):
        return True
    return waited >= start_wait and any(control_plane.known for control_plane in control_planes.all)
