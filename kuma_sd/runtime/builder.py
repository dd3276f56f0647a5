"""Build components from settings: opened, but neither connected nor started."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, NamedTuple

from kuma_sd.core.errors import ConfigError, Mistakes
from kuma_sd.pipeline.chain import Chain
from kuma_sd.plugin.context import Context, Contributions
from kuma_sd.plugin.hook_implementations import HookTransform
from kuma_sd.plugin.interfaces import Output, Source, Transform
from kuma_sd.runtime.file_conflicts import check_files
from kuma_sd.runtime.instances_kept_or_opened import Opener
from kuma_sd.runtime.shared_chains import ChainKey, shared_chains
from kuma_sd.settings.model import ControlPlaneSettings, OutputSettings, Settings, TransformSettings
from kuma_sd.web.paths import is_reserved

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from prometheus_client.registry import Collector


class Components(NamedTuple):
    """All objects that the settings describe.

    Args:
        sources: by control plane name, each with the settings it was opened from.
        transforms: by instance name, each with the settings it was opened from; chains share them.
        outputs: by instance name, each with the settings it was opened from.
        chains: the chains of the outputs; outputs with equal label profile and transforms share one.
        hooks: the steps that plugins' hooks add to every chain.
        contexts: the context of each instance, by kind and name.
    """

    sources: Mapping[str, tuple[ControlPlaneSettings, Source]] = {}
    transforms: Mapping[str, tuple[TransformSettings, Transform]] = {}
    outputs: Mapping[str, tuple[OutputSettings, Output]] = {}
    chains: tuple[tuple[ChainKey, Chain], ...] = ()
    hooks: tuple[HookTransform, ...] = ()
    contexts: Mapping[tuple[str, str], Context] = {}

    @property
    def contributions(self) -> Mapping[tuple[str, str], Contributions]:
        """What each instance handed over, by kind and name."""
        return {place: context.contributions for place, context in self.contexts.items()}

    @property
    def served(self) -> "dict[str, WSGIApplication]":
        """The HTTP handlers of instances, by path."""
        return {path: answer for given in self.contributions.values() for path, answer in given.served.items()}

    @property
    def collectors(self) -> "list[Collector]":
        """The metric collectors of instances."""
        return [collector for given in self.contributions.values() for collector in given.collectors]

    def close(self) -> None:
        """Close the objects that were opened but never started."""
        for _, source in self.sources.values():
            source.close()
        for _, output in self.outputs.values():
            output.close()

    def chain_of(self, output: OutputSettings) -> Chain:
        """Return an output's chain."""
        return next(chain for key, chain in self.chains if key == ChainKey.of(output))

    def outputs_of(self, key: ChainKey) -> list[OutputSettings]:
        """Return the outputs that share a chain."""
        return [output for output, _ in self.outputs.values() if ChainKey.of(output) == key]


def build(settings: Settings, running: Components | None = None) -> Components:
    """Build all components. At most files are read, so that this is safe beside a running daemon.

    Args:
        settings: the settings.
        running: existing components; those with equal settings are reused.

    Raises:
        ConfigError: options do not fit together.
        PluginError: a plugin fails.
    """
    before, mistakes = running or Components(), Mistakes()
    opener = Opener(settings, before.contexts, mistakes)
    control_planes = {control_plane.name: control_plane for control_plane in settings.control_planes}
    outputs = {output.name: output for output in settings.outputs}
    transforms = {transform.name: transform for output in settings.outputs for transform in output.transforms}
    components = Components(
        sources=opener.open_all("source", control_planes, before.sources),
        outputs=opener.open_all("output", outputs, before.outputs),
        transforms=opener.open_all("transform", transforms, before.transforms),
        hooks=tuple(settings.plugins.transforms),
        contexts=opener.contexts,
    )
    mistakes.attempt(_check_paths, settings, components)
    written = {name: output for name, (_, output) in components.outputs.items()}
    mistakes.attempt(check_files, written, settings)
    mistakes.check()
    transform_objects = {name: transform for name, (_, transform) in components.transforms.items()}
    return components._replace(chains=shared_chains(settings, transform_objects, components.hooks, before.chains))


def _check_paths(settings: Settings, components: Components) -> None:
    """Reject what instances want to serve at a path of the daemon or of another instance."""
    owners, mistakes = dict[str, str](), list[str]()
    for (kind, name), contributions in components.contributions.items():
        for path in contributions.served:
            place = settings.at(name, "path")
            if is_reserved(path):
                mistakes.append(f"{place}{kind} {name}: {path} is the daemon's own; give it another path, like /sd")
            owner = owners.setdefault(path, f"{kind} {name}")
            if owner != f"{kind} {name}":
                mistakes.append(f"{place}{owner} and {kind} {name} both want to serve {path}; give one another path")
    if mistakes:
        raise ConfigError(*mistakes)
