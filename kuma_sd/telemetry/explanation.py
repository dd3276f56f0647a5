"""Explanation of one target as plain data, for `kuma-sd explain`, the status page, and JSON."""

import msgspec
from msgspec.structs import replace

from kuma_sd.core.model import Key, Labels


class Identity(msgspec.Struct, frozen=True):
    """The identity of a target; see `kuma_sd.core.model.Key`."""

    control_plane: str
    mesh: str
    dataplane: str
    ordinal: int

    @classmethod
    def of(cls, key: Key) -> "Identity":
        """Create the identity from a key."""
        return cls(key.control_plane, key.mesh, key.name, key.ordinal)

    def __str__(self) -> str:
        parts = [f"dataplane {self.dataplane}", f"mesh {self.mesh}"]
        parts += [f"control plane {self.control_plane}"] if self.control_plane else []
        parts += [f"number {self.ordinal}"] if self.ordinal else []
        return ", ".join(parts)


class ReceivedAssignment(msgspec.Struct, frozen=True):
    """An assignment as it was received.

    Args:
        codec: the name of its codec.
        size: its size in bytes.
        failure: why it cannot be read; then all other fields are empty.
        labels: its labels, before any label profile.
    """

    codec: str
    size: int
    failure: str = ""
    service: str = ""
    address: str = ""
    scheme: str = ""
    metrics_path: str = ""
    labels: Labels = msgspec.field(default_factory=dict)


class Step(msgspec.Struct, frozen=True):
    """One step in the conversion of a label set, and what it changed.

    Args:
        name: the name of the transform, or of a built-in step: ``limits``, ``label-profile``, ``label-names``,
            ``address``, ``target-group``.
        plugin: the kind of transform; empty for built-in steps.
        rule: the rule, if the transform has several; the profile for ``label-profile``.
        outcome: ``changed``, ``unchanged``, ``dropped`` or ``failed``; ``dropped`` and ``failed`` are the last step.
        reason: the reason, if ``rule`` does not say it.
        added: the added labels.
        removed: the removed labels.
        changed: the values of changed labels, before and after.
    """

    name: str
    plugin: str = ""
    rule: str = ""
    outcome: str = "unchanged"
    reason: str = ""
    added: Labels = msgspec.field(default_factory=dict)
    removed: Labels = msgspec.field(default_factory=dict)
    changed: dict[str, tuple[str, str]] = msgspec.field(default_factory=dict)

    def __str__(self) -> str:
        title = f"{self.name} ({self.plugin})" if self.plugin and self.plugin != self.name else self.name
        return ": ".join(filter(None, (title, self.rule, self.reason)))


class ExplainedGroup(msgspec.Struct, frozen=True):
    """A target group, as Prometheus reads it.

    Args:
        targets: the addresses.
        labels: the labels without ``__address__``.
        where: where the output puts it, like a file or a shard; empty if the output does not say.
        same_as: the other target for which an equal group is already published; None if there is none.
    """

    targets: list[str]
    labels: Labels
    where: str = ""
    same_as: Identity | None = None


class Trace(msgspec.Struct, frozen=True):
    """The steps of one label set; there are several traces only if a transform returns several label sets.

    Args:
        steps: the steps, in order.
        group: the resulting group; None if the label set was dropped or failed.
    """

    steps: tuple[Step, ...]
    group: ExplainedGroup | None


class Verdict(msgspec.Struct, frozen=True):
    """What an output does with a target.

    Args:
        output: the output's name.
        verdict: ``published``; ``kept``: it is quarantined and its last good groups stay published; ``duplicate``: an
            equal group is published for another target; ``dropped`` by a step; ``failed``: it is quarantined and has
            no last good groups; ``expired``: its control plane was not connected within max-age; ``waiting``: the
            output has not published it yet.
        why: the reason; empty if it is published normally.
        groups: its published groups.
    """

    output: str
    verdict: str
    why: str = ""
    groups: tuple[ExplainedGroup, ...] = ()


class ExplainedChain(msgspec.Struct, frozen=True):
    """The result of a chain for a target, and the verdicts of the outputs at its end.

    Args:
        label_profile: the label profile.
        transforms: the names of the transforms.
        outputs: the verdict of each output.
        traces: the traces of the target through the chain.
    """

    label_profile: str
    transforms: tuple[str, ...]
    outputs: tuple[Verdict, ...]
    traces: tuple[Trace, ...]


class Explanation(msgspec.Struct, frozen=True):
    """The complete explanation of one target.

    Args:
        target: its identity.
        state: ``present``; ``held``: its control plane no longer has it, but the guard holds it; ``expired``.
        received: the received assignment.
        chains: its result in each chain.
    """

    target: Identity
    state: str
    received: ReceivedAssignment
    chains: tuple[ExplainedChain, ...]

    @property
    def verdicts(self) -> list[Verdict]:
        """The verdict of each output."""
        return [verdict for chain in self.chains for verdict in chain.outputs]

    @property
    def results(self) -> "list[tuple[str, Verdict]]":
        """The verdicts, each with the names of the outputs that share it."""
        found: list[tuple[list[str], Verdict]] = []
        for verdict in self.verdicts:
            same = [names for names, other in found if replace(other, output=verdict.output) == verdict]
            if same:
                same[0].append(verdict.output)
            else:
                found.append(([verdict.output], verdict))
        return [(", ".join(names), verdict) for names, verdict in found]

    @property
    def paths(self) -> "list[tuple[str, tuple[Trace, ...]]]":
        """The traces, each with the names of the outputs that share them."""
        found: list[tuple[list[str], tuple[Trace, ...]]] = []
        for chain in self.chains:
            outputs = [verdict.output for verdict in chain.outputs]
            same = [names for names, traces in found if traces == chain.traces]
            if same:
                same[0].extend(outputs)
            else:
                found.append((outputs, chain.traces))
        return [(", ".join(names), traces) for names, traces in found]


class SearchResult(msgspec.Struct, frozen=True):
    """The targets that match a selector.

    Args:
        targets: the matching targets, sorted.
        more: more targets match than are listed.
        near: suggestions if none matches.
    """

    targets: tuple[Explanation, ...]
    more: bool = False
    near: tuple[str, ...] = ()
