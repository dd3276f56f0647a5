"""What explanations are made from: what was received, the ways it goes, and what was published."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING, NamedTuple

from kuma_sd.runtime.builder import Assembly, Path
from kuma_sd.pipeline.chain import Branch
from kuma_sd.plugin.interfaces import Output, Transform
from kuma_sd.core.model import Assignment, Key, Publication, Snapshot

if TYPE_CHECKING:
    from kuma_sd.runtime.daemon import Daemon


@dataclass(frozen=True)
class Plane:
    """A control plane.

    Args:
        assignments: what may be published of it, or might if it had not expired; sorted by key.
        expired: it was not heard for longer than max-age.
        holds: tells whether the guard holds a target that the control plane does not have any more.
    """

    assignments: Sequence[Assignment]
    expired: bool = False
    holds: Callable[[Key], bool] = lambda _key: False

    def state(self, key: Key) -> str:
        """Return how a target is, in a word."""
        if self.expired:
            return "expired"
        return "held" if self.holds(key) else "present"


class NamedStep(NamedTuple):
    """A transform, its name in the settings, and its kind."""

    name: str
    plugin: str
    transform: Transform


@dataclass(frozen=True)
class End:
    """An output at the end of a way.

    Args:
        name: its name in the settings.
        output: the output itself, which may offer ``explain(group)``.
        publication: what it published last; None for nothing yet.
        failing: why it does not publish; empty when it does.
    """

    name: str
    output: Output
    publication: Publication | None
    failing: str = ""


@dataclass(frozen=True)
class Course:
    """A branch with the names of its parts, and the outputs at its end."""

    label_profile: str
    steps: tuple[NamedStep, ...]
    branch: Branch
    ends: tuple[End, ...]


@dataclass(frozen=True)
class Scene:
    """All that can be asked about.

    Args:
        planes: in the order of their keys.
        courses: the ways that targets go.
    """

    planes: Sequence[Plane]
    courses: Sequence[Course]

    @classmethod
    def of_daemon(cls, daemon: "Daemon") -> "Scene":
        """Look at a running daemon, from any thread."""
        assembly, workers = daemon.assembly, daemon.outputs
        planes = [
            Plane(inlet.admitted.assignments if inlet.admitted else (), inlet.expired, inlet.guard.holds)
            for inlet in daemon.pipeline.inlets.values()
        ]
        ends = [
            End(name, worker.output, worker.status.published, worker.status.failing) for name, worker in workers.items()
        ]
        return cls(planes, [_course(assembly, path, branch, ends) for path, branch in assembly.branches])

    @classmethod
    def of_snapshots(cls, assembly: Assembly, snapshots: Sequence[Snapshot]) -> "Scene":
        """Look at what would be published of snapshots, one of each control plane in the order of their names."""
        planes = [Plane(snapshot.assignments) for snapshot in snapshots]
        received = max((snapshot.received for snapshot in snapshots), default=0.0)
        courses = []
        for path, branch in assembly.branches:
            publication = branch.publication(chain.from_iterable(one.assignments for one in snapshots), received)
            ends = [End(name, output, publication) for name, (_, output) in assembly.outputs.items()]
            courses.append(_course(assembly, path, branch, ends))
        return cls(planes, courses)


def _course(assembly: Assembly, path: Path, branch: Branch, ends: Iterable[End]) -> Course:
    label_profile, transforms = path
    named = zip(transforms, branch.transforms, strict=True)
    steps = tuple(NamedStep(one.name, one.plugin.name, transform) for one, transform in named)
    here = {one.name for one in assembly.outputs_through(path)}
    return Course(label_profile, steps, branch, tuple(end for end in ends if end.name in here))
