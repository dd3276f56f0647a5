"""Collect the inputs of explanations: received assignments, chains, and what was published."""

import itertools
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from kuma_sd.core.model import Assignment, Key, Snapshot
from kuma_sd.core.publication import Publication
from kuma_sd.pipeline.chain import Chain
from kuma_sd.plugin.hook_implementations import TRANSFORM
from kuma_sd.plugin.interfaces import Output, Transform
from kuma_sd.runtime.builder import Components
from kuma_sd.runtime.shared_chains import ChainKey

if TYPE_CHECKING:
    from kuma_sd.runtime.daemon import Daemon


class ControlPlaneInput(msgspec.Struct, frozen=True):
    """A control plane with its targets.

    Args:
        assignments: its targets, sorted by key; they are not published if `expired`.
        expired: it was not connected for longer than max-age.
        held: the keys of targets that the guard holds, which the control plane no longer has.
    """

    assignments: Sequence[Assignment]
    expired: bool = False
    held: Collection[Key] = ()

    def state(self, key: Key) -> str:
        """Return the state of a target: ``present``, ``held`` or ``expired``."""
        if self.expired:
            return "expired"
        return "held" if key in self.held else "present"


class NamedTransform(NamedTuple):
    """A transform with its name in the settings and its kind."""

    name: str
    plugin: str
    transform: Transform


class OutputInput(msgspec.Struct, frozen=True):
    """An output at the end of a chain.

    Args:
        name: its name in the settings.
        output: the output itself, which may offer ``explain(group)``.
        publication: the last publication that it published; None if there is none yet.
        failing: why the last attempt to publish failed; empty if it succeeded.
    """

    name: str
    output: Output
    publication: Publication | None
    failing: str = ""


class ChainInput(msgspec.Struct, frozen=True):
    """A chain with the names of its parts, and the outputs at its end."""

    label_profile: str
    steps: tuple[NamedTransform, ...]
    chain: Chain
    outputs: tuple[OutputInput, ...]


class ExplainInputs(msgspec.Struct, frozen=True):
    """Everything that explanations are made from.

    Args:
        control_planes: the control planes, in the order of their keys.
        chains: the chains that targets go through.
    """

    control_planes: Sequence[ControlPlaneInput]
    chains: Sequence[ChainInput]

    @classmethod
    def of_daemon(cls, daemon: "Daemon") -> "ExplainInputs":
        """Collect the inputs from a running daemon; called in any thread."""
        components, workers = daemon.components, daemon.outputs
        status = daemon.pipeline.status
        views = [*status.control_planes.values(), *status.leaving]
        control_planes = [
            ControlPlaneInput(view.lapsed if view.expired else view.assignments, view.expired, view.guard.keys)
            for view in sorted(views, key=lambda view: view.name)
        ]
        outputs = [
            OutputInput(name, worker.output, worker.status.published, worker.status.publishing.failing)
            for name, worker in workers.items()
        ]
        return cls(control_planes, [_chain_input(components, key, chain, outputs) for key, chain in components.chains])

    @classmethod
    def of_snapshots(cls, components: Components, snapshots: Sequence[Snapshot]) -> "ExplainInputs":
        """Collect what would be published from snapshots: one of each control plane, in the order of their names."""
        control_planes = [ControlPlaneInput(snapshot.assignments) for snapshot in snapshots]
        received = max((snapshot.received for snapshot in snapshots), default=0.0)
        chains = []
        for key, chain in components.chains:
            publication = chain.publication(
                itertools.chain.from_iterable(received.assignments for received in snapshots), received
            )
            outputs = [OutputInput(name, output, publication) for name, (_, output) in components.outputs.items()]
            chains.append(_chain_input(components, key, chain, outputs))
        return cls(control_planes, chains)


def _chain_input(components: Components, key: ChainKey, chain: Chain, outputs: Iterable[OutputInput]) -> ChainInput:
    label_profile, transforms = key
    named = [NamedTransform(item.name, item.plugin_name, components.transforms[item.name][1]) for item in transforms]
    steps = (*named, *(NamedTransform(hook.name, TRANSFORM, hook) for hook in components.hooks))
    here = {output.name for output in components.outputs_of(key)}
    return ChainInput(label_profile, steps, chain, tuple(end for end in outputs if end.name in here))
