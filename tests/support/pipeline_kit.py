"""A pipeline that is driven by hand, with a clock that tests move."""

from collections.abc import Iterable, Sequence

from msgspec.structs import replace

from kuma_sd import Publication, Snapshot, Transform
from kuma_sd.core.mailbox import Mailbox
from kuma_sd.core.model import ContactLost, LastGoodTargets
from kuma_sd.pipeline.chain import Chain
from kuma_sd.pipeline.chain_outputs import SENDER, ChainOutputs
from kuma_sd.pipeline.control_plane import ControlPlaneConfig
from kuma_sd.pipeline.event_delivery import Events
from kuma_sd.pipeline.messages import Accept, Configuration, FromSource, Message
from kuma_sd.pipeline.pipeline import Pipeline, Saving
from kuma_sd.prometheus.label_profiles import LabelProfile
from kuma_sd.state.restorer import Restored
from kuma_sd.testing import snapshot


class Line:
    """A pipeline with one output; the clock starts at 0. Each control plane is asked by a source of its own.

    Args:
        *control_planes: their names; the only one needs none.
        restored: what was saved before a restart.
        events: who is told what happens.
        file: what the output had published before it.
        transforms: those of the chain.
        **options: those of `ControlPlaneConfig`, for all of them.
    """

    def __init__(
        self,
        *control_planes: str,
        start_wait: float = 30.0,
        restored: Iterable[LastGoodTargets] = (),
        events: Events | None = None,
        file: Publication | None = None,
        transforms: Sequence[Transform] = (),
        **options: float,
    ) -> None:
        self.out: Mailbox[Publication] = Mailbox()
        self.saved: dict[str, LastGoodTargets] = {}
        self.forgotten: list[str] = []
        self.start_wait = start_wait
        self.options = options
        self.ages: dict[str, float | None] = {}
        self.now = 0.0
        self.pipeline = Pipeline(0.0, Saving(self._save, self.forgotten.append), events)
        self.configs = [self.config(name, f"{name or 'only'}:1") for name in control_planes or [""]]
        self._file = {group.key.assignment: group for group in file.groups} if file else {}
        self.chain_outputs = self.new_chain_outputs(*transforms)
        self.pipeline.begin(Restored(tuple(restored)), self.configuration(), self.now)

    def config(self, name: str, *endpoints: str, **options: float) -> ControlPlaneConfig:
        """Return what settings say of a control plane; each endpoint has a source of its own."""
        source = hash((name, endpoints)) or 1
        config = ControlPlaneConfig(name, name or "only", frozenset(endpoints), source)
        return replace(config, age=lambda _now: self.ages.get(name, 0.0), **{**self.options, **options})

    def new_chain_outputs(self, *transforms: Transform) -> ChainOutputs:
        """Return a way to the output."""
        return ChainOutputs(
            Chain(LabelProfile("kuma-prometheus-sd"), transforms), {"out": self.out}, lambda: self._file
        )

    def configuration(self) -> Configuration:
        """Return the present settings."""
        return Configuration(self.configs, [self.chain_outputs], self.start_wait)

    def reload(self, *configs: ControlPlaneConfig, now: float = 1.0) -> list[str] | None:
        """Go on with other control planes."""
        self.configs = list(configs) or self.configs
        return self.take(self.configuration(), now=now)

    def step(self, *events: Snapshot | ContactLost, now: float = 1.0) -> list[str] | None:
        """Hand over what the sources tell.

        Returns:
            The names that are published in this step; None when nothing is.
        """
        sources = {config.name: config.source for config in self.configs}
        return self.take(*(FromSource(sources[event.control_plane], event) for event in events), now=now)

    def accept(self, name: str | None = None, *, now: float = 1.0) -> list[str] | None:
        """Let go of what is held."""
        return self.take(Accept(name), now=now)

    def take(self, *messages: Message, now: float) -> list[str] | None:
        """Hand over messages, and return what is published."""
        self.pipeline.step(messages, now)
        published = self.out.take(0).get(SENDER)
        return names(published) if published else None

    def _save(self, last_good: LastGoodTargets) -> None:
        self.saved[last_good.file] = last_good


def names(published: Publication) -> list[str]:
    """Return the names of targets, each after that of its control plane."""
    return [group.key.assignment.control_plane + group.key.assignment.name for group in published.groups]


def saved(*assignments: str, name: str = "", endpoint: str = "only:1") -> LastGoodTargets:
    """Return what was saved of a control plane."""
    built = snapshot(*assignments, control_plane=name).assignments
    return LastGoodTargets(name, frozenset({endpoint}), built, 1.0, name or "unnamed.0123456789abcdef")
