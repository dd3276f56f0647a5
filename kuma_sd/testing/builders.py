"""Build targets, assignments, groups, snapshots and publications with useful defaults."""

from collections.abc import Iterable
from pathlib import Path
from typing import TypedDict, Unpack

import msgspec

from kuma_sd import Assignment, Context, GroupKey, Key, Labels, Publication, Snapshot, Target, TargetGroup, parse_url


def context(state_dir: Path | None = None, *, name: str = "tested", address: str = "") -> Context:
    """Build the context of an instance.

    Args:
        state_dir: its state directory; None for an instance that needs none.
        name: its name in the settings.
        address: the address of a source.
    """
    parsed = parse_url(address) if address else None
    if state_dir is None:
        return Context(name, address=parsed)
    return Context(name, address=parsed, make_state_dir=lambda: _made(state_dir))


def _made(directory: Path) -> Path:
    directory.mkdir(parents=True, exist_ok=True)
    return directory


class Facts(TypedDict, total=False):
    """The facts of a target besides its name; all have a default."""

    control_plane: str
    mesh: str
    service: str
    address: str
    scheme: str
    metrics_path: str
    labels: Labels


def target(name: str = "backend-01", **facts: Unpack[Facts]) -> Target:
    """Build a target.

    Args:
        name: the name of the dataplane.
        **facts: the facts that differ from the defaults.
    """
    labels = {"env": "prod", "envs": ",prod,", "kuma_io_service": "backend", "kuma_io_services": ",backend,"}
    default = Target("", "default", "backend", name, "192.0.2.1:5670", "http", "/metrics", labels)
    return msgspec.structs.replace(default, **facts)


class JSONCodec:
    """Decodes the assignments of `assignment()`: their bytes are the target's facts as JSON."""

    name = "testing"

    def read(self, key: Key, data: bytes) -> Target:
        """Decode one target; raises if the bytes are not such JSON, as every codec does."""
        del key  # the facts are all in the bytes
        return msgspec.json.decode(data, type=Target)


CODEC = JSONCodec()


def assignment(name: str = "backend-01", *, index: int = 0, **facts: Unpack[Facts]) -> Assignment:
    """Build an assignment that `CODEC` decodes; equal facts give equal bytes.

    Args:
        name: the name of the dataplane.
        index: its index among assignments of the same control plane, mesh and name.
        **facts: the facts that differ from the defaults.
    """
    built = target(name, **facts)
    key = Key(built.control_plane, built.mesh, built.name, index)
    return Assignment(key, msgspec.json.encode(built, order="sorted"), CODEC)


def snapshot(
    *assignments: Assignment | str,
    control_plane: str = "",
    received: float = 1.0,
    connected: float = 0.0,
    complete: bool = True,
    unreadable: Iterable[bytes] = (),
) -> Snapshot:
    """Build a snapshot; the assignments are sorted, as in every source.

    Args:
        *assignments: its assignments; a text is the name of a default assignment of this control plane.
        control_plane: its name; empty for the only one.
        received: when the message was received, in seconds.
        connected: when its connection was made, in seconds.
        complete: False when one resource, always the same, cannot be read.
        unreadable: digests of resources that cannot be read.
    """
    built = [assignment(a, control_plane=control_plane) if isinstance(a, str) else a for a in assignments]
    broken = frozenset(unreadable) | (frozenset() if complete else {b"unreadable"})
    return Snapshot(control_plane, sorted(built, key=lambda a: a.key), received, connected, broken)


def group(name: str = "backend-01", *, place: int = 0, **facts: Unpack[Facts]) -> TargetGroup:
    """Build the target group that the default label profile gives for a target.

    Args:
        name: the name of the dataplane.
        place: its index among the results of the transforms.
        **facts: the facts that differ from the defaults.
    """
    built = target(name, **facts)
    key = GroupKey(Key(built.control_plane, built.mesh, built.name, 0), place)
    return TargetGroup.render(key, labels_of(built))


def labels_of(built: Target) -> Labels:
    """Return the labels that the default label profile gives for a target, without making names valid."""
    where = {"__address__": built.address, "__scheme__": built.scheme, "__metrics_path__": built.metrics_path}
    what = {"mesh": built.mesh, "service": built.service, "job": built.service}
    return built.labels | where | what | {"dataplane": built.name, "instance": built.name}


def publication(*groups: TargetGroup | str, received: float = 1.0) -> Publication:
    """Build a publication; its groups are sorted.

    Args:
        *groups: its groups; a text is the name of a default group.
        received: when the newest message in it was received, in seconds.
    """
    built = [group(g) if isinstance(g, str) else g for g in groups]
    return Publication.of(sorted(built), received)
