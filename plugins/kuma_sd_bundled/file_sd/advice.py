"""Advise on dividing a list into parts: what it saves and needs, for `kuma-sd check` and `kuma-sd status`."""

import math
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from kuma_sd_bundled.file_sd.layout import Layout
from kuma_sd_bundled.file_sd.parts import DEFAULT_PARTS
from kuma_sd_bundled.file_sd.parts_overlap import PartCounts

MANY_TARGETS = 5_000
"""Number of targets from which a single file gets a remark."""

PROMETHEUS_SECONDS_PER_TARGET = 45e-6
"""CPU time that Prometheus needs to reread one target of an entry, in seconds (measured with 2.42 and 3.14)."""

SPARE_INSTANCES = 16
"""Number of inotify instances left for other programs of the user that runs Prometheus."""

INSTANCES = Path("/proc/sys/fs/inotify/max_user_instances")


def on_single_file(targets: int) -> Iterator[str]:
    """Yield what each change costs Prometheus, unless it is little."""
    if targets >= MANY_TARGETS:
        yield (
            f"with each change Prometheus reads all {targets:,} targets again, about "
            f"{targets * PROMETHEUS_SECONDS_PER_TARGET:.1f} s of its CPU; a path like {{part}}/kuma.json divides them "
            f"into {DEFAULT_PARTS} parts, of which it reads one"
        )


def on_parts(layout: Layout) -> Iterator[str]:
    """Yield a warning if Prometheus cannot watch so many parts."""
    limit = instances_of_a_user()
    if layout.has_parts and layout.parts + SPARE_INSTANCES > limit:
        yield (
            f"Prometheus needs an inotify instance for each of the {layout.parts} parts, and a user here may have "
            f"{limit} (fs.inotify.max_user_instances); a part without one is hardly ever read "
            f"again: raise the limit where Prometheus runs, or set fewer parts"
        )


def facts(layout: Layout, counts: PartCounts, targets: int) -> Mapping[str, str]:
    """Return the facts for the status."""
    if layout.has_parts:
        overlaps = "".join(f"; targets stay in the {count} before {_until(counts, count)}" for count in counts.former)
        return {"parts": f"{counts.current}{overlaps}"}
    remark = next(on_single_file(targets), "") if layout.is_one_file else ""
    return {"cost": remark} if remark else {}


def instances_of_a_user() -> float:
    """Return how many inotify instances a user may have; infinite if the system has no limit to read."""
    try:
        return int(INSTANCES.read_text())
    except (OSError, ValueError):
        return math.inf


def _until(counts: PartCounts, count: int) -> str:
    until = counts.until(count)
    return "until all are written" if until == math.inf else time.strftime("until %H:%M:%S", time.localtime(until))
