"""What becomes of one target, and why: plain data, for `kuma-sd explain`, the status page, and JSON."""

from dataclasses import dataclass, field, replace

from kuma_sd.core.model import Key, Labels


@dataclass(frozen=True, slots=True)
class Identity:
    """What tells one target from another; see `kuma_sd.core.model.Key`."""

    control_plane: str
    mesh: str
    dataplane: str
    ordinal: int

    @classmethod
    def of(cls, key: Key) -> "Identity":
        """Spell out a key."""
        return cls(key.control_plane, key.mesh, key.name, key.ordinal)

    def __str__(self) -> str:
        parts = [f"dataplane {self.dataplane}", f"mesh {self.mesh}"]
        parts += [f"control plane {self.control_plane}"] if self.control_plane else []
        parts += [f"number {self.ordinal}"] if self.ordinal else []
        return ", ".join(parts)


@dataclass(frozen=True, slots=True)
class ReceivedAssignment:
    """An assignment as it was received.

    Args:
        codec: the name of what reads it.
        size: how many bytes it has.
        failure: why it cannot be read; then all that follows is empty.
        labels: its labels, before any label profile.
    """

    codec: str
    size: int
    failure: str = ""
    service: str = ""
    address: str = ""
    scheme: str = ""
    metrics_path: str = ""
    labels: Labels = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a label set, and what it changed.

    Args:
        name: the name of the transform, or of a step of kuma-sd's own: ``limits``, ``label-profile``, ``label-names``,
            ``address``, ``target-group``.
        plugin: the kind of transform; empty for kuma-sd's own steps.
        rule: which of its rules, where it has several; of ``label-profile`` the profile.
        outcome: ``changed``, ``unchanged``, ``dropped`` or ``failed``; after the last two nothing follows.
        reason: why, where ``rule`` does not say it.
        added: labels that were not there before.
        removed: labels that are there no more.
        changed: the values of other labels before and after.
    """

    name: str
    plugin: str = ""
    rule: str = ""
    outcome: str = "unchanged"
    reason: str = ""
    added: Labels = field(default_factory=dict)
    removed: Labels = field(default_factory=dict)
    changed: dict[str, tuple[str, str]] = field(default_factory=dict)

    def __str__(self) -> str:
        title = f"{self.name} ({self.plugin})" if self.plugin and self.plugin != self.name else self.name
        return ": ".join(filter(None, (title, self.rule, self.reason)))


@dataclass(frozen=True, slots=True)
class ExplainedGroup:
    """A target group, as Prometheus reads it.

    Args:
        targets: the addresses.
        labels: the labels without ``__address__``.
        where: where the output puts it, if it says so: a file, a shard.
        same_as: the target under which the same group is published already, if it is another one.
    """

    targets: list[str]
    labels: Labels
    where: str = ""
    same_as: Identity | None = None


@dataclass(frozen=True, slots=True)
class Trace:
    """The way of one label set; there are several only where a transform makes several of one.

    Args:
        steps: in their order.
        group: what came out; None if it was dropped or failed.
    """

    steps: tuple[Step, ...]
    group: ExplainedGroup | None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an output does with a target.

    Args:
        output: its name.
        verdict: ``published``; ``kept``: conversion fails, and what it was before stays published; ``duplicate``: the
            same group is published for another target; ``dropped`` by a step; ``failed``: conversion fails, and there
            is nothing to keep; ``expired``: its control plane was not connected within max-age; ``waiting``: the
            output has not published it yet.
        why: the reason; empty if it is published as it should be.
        groups: what is published of it.
    """

    output: str
    verdict: str
    why: str = ""
    groups: tuple[ExplainedGroup, ...] = ()


@dataclass(frozen=True, slots=True)
class ExplainedChain:
    """What outputs with the same label profile and transforms make of a target.

    Args:
        label_profile: the profile.
        transforms: the names of the transforms.
        outputs: what becomes of it in each of the outputs.
        traces: how.
    """

    label_profile: str
    transforms: tuple[str, ...]
    outputs: tuple[Verdict, ...]
    traces: tuple[Trace, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """Everything about one target.

    Args:
        target: which it is.
        state: ``present``; ``held``: its control plane does not have it any more, but the guard holds it; ``expired``.
        received: what was received.
        chains: what became of it.
    """

    target: Identity
    state: str
    received: ReceivedAssignment
    chains: tuple[ExplainedChain, ...]

    @property
    def verdicts(self) -> list[Verdict]:
        """What each output does with it."""
        return [verdict for chain in self.chains for verdict in chain.outputs]

    @property
    def results(self) -> "list[tuple[str, Verdict]]":
        """What outputs do with it: the names of those that do the same for the same reason, and what that is."""
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
        """How that came about: the names of outputs to which the steps are equal, and the steps."""
        found: list[tuple[list[str], tuple[Trace, ...]]] = []
        for chain in self.chains:
            outputs = [verdict.output for verdict in chain.outputs]
            same = [names for names, traces in found if traces == chain.traces]
            if same:
                same[0].extend(outputs)
            else:
                found.append((outputs, chain.traces))
        return [(", ".join(names), traces) for names, traces in found]


@dataclass(frozen=True, slots=True)
class SearchResult:
    """What is found for a selector.

    Args:
        targets: those that match, sorted.
        more: there are further ones behind these.
        near: if none matches, what may have been meant.
    """

    targets: tuple[Explanation, ...]
    more: bool = False
    near: tuple[str, ...] = ()
