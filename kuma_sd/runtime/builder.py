"""Build components from settings: opened, but neither connected nor started."""

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from kuma_sd.core.errors import ConfigError, KumaSDError, Mistakes, PluginError
from kuma_sd.core.publication import Publication
from kuma_sd.pipeline.chain import Chain, LabelLimits
from kuma_sd.plugin.interfaces import Context, Output, Source, Transform, WritesFiles
from kuma_sd.prometheus.label_profiles import LabelProfile
from kuma_sd.settings.loader import ControlPlaneSettings, OutputSettings, Settings, TransformSettings
from kuma_sd.web.paths import is_reserved

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from prometheus_client.registry import Collector

T = TypeVar("T")

Path = tuple[str, tuple[TransformSettings, ...]]
"""The key of a chain: the label profile and the transforms. Outputs with an equal key share a chain."""


class Components(NamedTuple):
    """All objects that the settings describe.

    Args:
        sources: by control plane name, each with the settings it was opened from.
        outputs: by instance name, each with the settings it was opened from.
        chains: the chains of the outputs; outputs with equal label profile and transforms share one.
        contexts: the context of each source and output, by kind and name.
    """

    sources: Mapping[str, tuple[ControlPlaneSettings, Source]] = {}
    outputs: Mapping[str, tuple[OutputSettings, Output]] = {}
    chains: tuple[tuple[Path, Chain], ...] = ()
    contexts: Mapping[tuple[str, str], Context] = {}

    @property
    def served(self) -> "dict[str, WSGIApplication]":
        """The HTTP handlers of instances, by path."""
        return {path: answer for context in self.contexts.values() for path, answer in context.served.items()}

    @property
    def collectors(self) -> "list[Collector]":
        """The metric collectors of instances."""
        return [collector for context in self.contexts.values() for collector in context.collectors]

    def close(self) -> None:
        """Close the objects that were opened but never started."""
        for _, source in self.sources.values():
            source.close()
        for _, output in self.outputs.values():
            output.close()

    def chain_of(self, output: OutputSettings) -> Chain:
        """Return an output's chain."""
        return next(chain for path, chain in self.chains if path == path_of(output))

    def outputs_through(self, path: Path) -> list[OutputSettings]:
        """Return the outputs that share a chain."""
        return [output for output, _ in self.outputs.values() if path_of(output) == path]


def build(settings: Settings, running: Components | None = None) -> Components:
    """Build all components. At most files are read, so that this is safe beside a running daemon.

    Args:
        settings: the settings.
        running: existing components; those with equal settings are reused.

    Raises:
        ConfigError: options do not fit together.
        PluginError: a plugin fails.
    """
    running, mistakes = running or Components(), Mistakes()
    contexts: dict[tuple[str, str], Context] = {}
    sources: dict[str, tuple[ControlPlaneSettings, Source]] = {}
    for control_plane in settings.control_planes:
        if source := mistakes.attempt(_open_source, control_plane, running, contexts):
            sources[control_plane.name] = control_plane, source
    outputs: dict[str, tuple[OutputSettings, Output]] = {}
    for output_settings in settings.outputs:
        if opened := mistakes.attempt(_open_output, output_settings, running, contexts):
            outputs[output_settings.name] = output_settings, opened
    mistakes.attempt(_check_paths, contexts)
    mistakes.attempt(_check_files, outputs)
    limits = LabelLimits(settings.core.max_labels, settings.core.max_label_value_length)
    chains: list[tuple[Path, Chain]] = []
    for output in settings.outputs:
        path = path_of(output)
        if all(path != other for other, _ in chains) and (
            chain := mistakes.attempt(_make_chain, path, limits, running)
        ):
            chains.append((path, chain))
    mistakes.check()
    return Components(sources, outputs, tuple(chains), contexts)


def start_outputs(outputs: Mapping[str, Output]) -> None:
    """Start outputs in order; if one cannot be started, close those before it.

    Raises:
        OutputError: one cannot be started.
        PluginError: a plugin fails.
    """
    started: list[Output] = []
    try:
        for name, output in outputs.items():
            _guarded(Named(f"output {name}"), output.start)
            started.append(output)
    except KumaSDError:
        for output in reversed(started):
            output.close()
        raise


def title(control_plane: ControlPlaneSettings) -> str:
    """Return a control plane's display name."""
    return control_plane.name or str(control_plane.address)


def path_of(output: OutputSettings) -> Path:
    """Return the key of an output's chain."""
    return output.label_profile, output.transforms


def _open_source(one: ControlPlaneSettings, running: Components, contexts: dict[tuple[str, str], Context]) -> Source:
    before = running.sources.get(one.name)
    keep = before is not None and before[0] == one
    context = contexts["source", one.name] = running.contexts["source", one.name] if keep else Context(one.name)
    if before and keep:
        return before[1]
    return _guarded(Named(f"source {title(one)}", one.distribution), one.plugin.open, one.address, one.options, context)


def _open_output(one: OutputSettings, running: Components, contexts: dict[tuple[str, str], Context]) -> Output:
    before = running.outputs.get(one.name)
    keep = before is not None and (before[0].plugin, before[0].options) == (one.plugin, one.options)
    context = contexts["output", one.name] = running.contexts["output", one.name] if keep else Context(one.name)
    if before and keep:
        return before[1]
    return _guarded(Named(f"output {one.name}", one.distribution), one.plugin.open, one.options, context)


def _check_paths(contexts: Mapping[tuple[str, str], Context]) -> None:
    owners: dict[str, str] = {}
    for (kind, name), context in contexts.items():
        for path in context.served:
            if is_reserved(path):
                raise ConfigError(f"{kind} {name}: {path} is the daemon's own; give it another path, like /sd")
            if path in owners:
                raise ConfigError(f"{owners[path]} and {kind} {name} both want to serve {path}; give one another path")
            owners[path] = f"{kind} {name}"


def _check_files(outputs: Mapping[str, tuple[OutputSettings, Output]]) -> None:
    """Reject two outputs that write the same file; symbolic links are followed."""
    owners: dict[str, str] = {}
    for name, (_, output) in outputs.items():
        for path in output.files(Publication((), 0.0)) if isinstance(output, WritesFiles) else ():
            owner = owners.setdefault(os.path.realpath(path), name)
            if owner != name:
                raise ConfigError(f"outputs {owner} and {name} both write {str(path)!r}; give one another path")


def _make_chain(path: Path, limits: LabelLimits, running: Components) -> Chain:
    for other, chain in running.chains:
        if (other, chain.limits) == (path, limits):
            return chain
    profile, transforms = path
    return Chain(LabelProfile(profile), [_make_transform(transform) for transform in transforms], limits)


def _make_transform(one: TransformSettings) -> Transform:
    return _guarded(Named(f"transform {one.name}", one.distribution), one.plugin.make, one.options)


class Named(NamedTuple):
    """An instance, and the distribution to blame for unexpected errors."""

    what: str
    distribution: Callable[[], str] | None = None

    def __str__(self) -> str:
        return f"{self.what} of the plugin distribution {self.distribution()}" if self.distribution else self.what


def _guarded(named: Named, make: Callable[..., T], *arguments: Any) -> T:  # noqa: ANN401 (each plugin's own options)
    try:
        return make(*arguments)
    except KumaSDError as error:
        error.within(named.what)
        raise
    except (Exception, SystemExit) as error:
        raise PluginError(f"{named} fails: {type(error).__name__}: {error}") from error
