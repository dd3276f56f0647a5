"""Say in one line how the daemon is: what `systemctl status` shows."""

from kuma_sd.core.text import counted
from kuma_sd.runtime.daemon import Daemon


def status_line(daemon: Daemon) -> str:
    """Return the daemon's status in one line."""
    status = daemon.pipeline.status
    views = status.control_planes.values()
    connected = [worker.source.status.connected for worker in daemon.sources.values()]
    failing = [name for name, worker in daemon.outputs.items() if worker.status.publishing.failing]
    held = sum(view.guard.held.targets for view in views)
    parts = [counted(sum(len(view.assignments) for view in [*views, *status.leaving]), "target")]
    parts += [f"{sum(connected)} of {len(connected)} control planes connected"]
    parts += [f"{held} held by the guard"] if held else []
    parts += [f"failing: {', '.join(failing)}"] if failing else []
    return "; ".join(parts)
