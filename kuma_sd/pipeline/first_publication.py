"""When the first publication after a start may go out."""

from kuma_sd.pipeline.control_planes import ControlPlanes


def may_publish_first(control_planes: ControlPlanes, waited: float, start_wait: float) -> bool:
    """Tell whether a first list may be published.

    It waits until every control plane is known, by an answer or by what was saved; after ``start-wait`` one is enough.
    Without any there is no list: an empty one would take all targets away.

    Args:
        control_planes: what is known of each.
        waited: how long the daemon has been running, in seconds.
        start_wait: how long to wait for control planes that do not answer, in seconds.
    """
    if all(control_plane.known for control_plane in control_planes.configured.values()):
        return True
    return waited >= start_wait and any(control_plane.known for control_plane in control_planes.all)
