"""Settings: what the daemon is told, read from flags, environment and file, checked, and each value's origin known."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from kuma_sd.core.errors import ConfigError, Mistakes
from kuma_sd.core.options import options_of
from kuma_sd.core.url import Url
from kuma_sd.plugin.interfaces import OutputPlugin, SourcePlugin, TransformPlugin
from kuma_sd.plugin.manager import Plugins
from kuma_sd.settings.cli_parser import Program
from kuma_sd.settings.exposure import exposed
from kuma_sd.settings.flags import settings_parser
from kuma_sd.settings.instances import Instance, Instances, Text, find_instances, find_outputs
from kuma_sd.settings.parsing import Effective, Values
from kuma_sd.settings.precedence import Precedence, Texts
from kuma_sd.settings.schema import (
    CORE,
    WEB,
    CoreOptions,
    Declaration,
    Schema,
    SchemaGroup,
    WebOptions,
    declare,
    declare_lists,
    options_for_outputs,
)
from kuma_sd.settings.unknown_options import check_file, comments_in_values


@dataclass(frozen=True)
class ControlPlaneSettings:
    """A control plane to follow.

    Args:
        name: empty for the only one that has none.
        address: its URL, replicas after commas; as text without its secrets.
        plugin: what speaks to it.
        options: the plugin's.
        distribution: returns where the plugin comes from, like ``kuma-sd 1.0``.
    """

    name: str
    address: Url
    plugin: SourcePlugin
    options: Any
    distribution: Callable[[], str] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class TransformSettings:
    """A transform in use; the arguments are those of the other instances."""

    name: str
    plugin: TransformPlugin
    options: Any
    distribution: Callable[[], str] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class OutputSettings:
    """An output to publish to.

    Args:
        name: its name.
        plugin: what publishes.
        options: the plugin's.
        label_profile: which labels its targets have.
        transforms: what each label set goes through, in this order.
        min_interval: the shortest time between two publications, in seconds.
        distribution: returns where the plugin comes from.
    """

    name: str
    plugin: OutputPlugin
    options: Any
    label_profile: str
    transforms: tuple[TransformSettings, ...]
    min_interval: float
    distribution: Callable[[], str] | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True)
class Settings:
    """All settings; equal when the daemon would do the same.

    Args:
        core: what concerns the daemon itself.
        control_planes: at least one.
        outputs: at least one.
        web: where and how it answers over HTTP.
        effective: every option that is in effect, by section.
        warnings: what is set and has no effect, one sentence each.
        arguments: the values of the command's own flags.
        file: the settings file that was read; empty for none.
    """

    core: CoreOptions
    control_planes: tuple[ControlPlaneSettings, ...]
    outputs: tuple[OutputSettings, ...]
    web: WebOptions
    effective: tuple[Effective, ...] = field(default=(), compare=False, repr=False)
    warnings: tuple[str, ...] = field(default=(), compare=False, repr=False)
    arguments: argparse.Namespace = field(default_factory=argparse.Namespace, compare=False, repr=False)
    file: str = field(default="", compare=False, repr=False)

    @property
    def source(self) -> str:
        """Where the settings are from, for people."""
        return f"settings from {self.file}" if self.file else "no settings file"


def load(
    arguments: Sequence[str], environment: Mapping[str, str], plugins: Plugins, program: Program | None = None
) -> Settings:
    """Read and check the settings; the same arguments may be given again for a reload.

    Args:
        arguments: the command line after the command.
        environment: the environment variables.
        plugins: where the plugins that are named come from; no other is loaded.
        program: the command, with flags of its own.

    Raises:
        ConfigError: something is wrong; the message says of each mistake where it is and what to do.
        PluginError: a plugin that is named cannot be loaded.
    """
    precedence, mistakes = Precedence(arguments, environment, program or Program()), Mistakes()
    mistakes.attempt(precedence.check_syntax)
    instances = mistakes.attempt(_discover, precedence.read)
    if instances is None:
        mistakes.check()
    assert instances is not None
    schema = declare(instances, plugins)
    texts, namespace = precedence.parse(schema)
    in_file, warnings = _discover_in_file(precedence), list[str]()
    if precedence.file:
        mistakes.attempt(check_file, precedence.file, schema, instances, in_file, plugins)
        warnings += comments_in_values(precedence.file)
    warnings += precedence.ignored(schema, namespace, set(in_file.names) - set(instances.names))
    settings = _read(Values(texts), instances, plugins, mistakes)
    warnings += exposed(settings.effective, precedence.path)
    return replace(settings, warnings=tuple(warnings), arguments=namespace, file=precedence.path)


def _read(values: Values, instances: Instances, plugins: Plugins, mistakes: Mistakes) -> Settings:
    """Read all values, and raise with every mistake in them."""
    core = mistakes.attempt(values.read, CoreOptions, CORE)
    control_planes = [
        mistakes.attempt(_control_plane, control_plane, values, plugins) for control_plane in instances.control_planes
    ]
    read = [mistakes.attempt(_transform, transform, values, plugins) for transform in instances.transforms]
    transforms = {transform.name: transform for transform in read if transform}
    outputs = [
        mistakes.attempt(_output, output, values, plugins, instances, transforms) for output in instances.outputs
    ]
    web = mistakes.attempt(values.read, WebOptions, WEB)
    mistakes.check()
    assert core is not None
    assert web is not None
    return Settings(
        core,
        tuple(control_plane for control_plane in control_planes if control_plane),
        tuple(output for output in outputs if output),
        web,
        tuple(values.effective),
    )


def find_daemon(
    arguments: Sequence[str], environment: Mapping[str, str], program: Program
) -> tuple[argparse.Namespace, Path | None]:
    """Return a command's own flags and the control socket, as far as they can be read from settings that are wrong.

    Args:
        arguments: the command line after the command.
        environment: the environment variables.
        program: the command.
    """
    option = next(option for option in options_of(CoreOptions) if option.name == "control-socket")
    schema = Schema([SchemaGroup(CORE, CORE, (Declaration(CORE, option),))])
    texts, namespace = Precedence(arguments, environment, program, lenient=True).parse_known(schema)
    socket: Path | None = Mistakes().attempt(Values(texts).value, option, CORE)
    return namespace, socket


def parser_of(program: Program, plugins: Plugins) -> argparse.ArgumentParser:
    """Return the parser of a command that takes settings, to describe it: with the flags there are by default.

    Args:
        program: the command, with flags of its own.
        plugins: where the plugins that are used by default come from.
    """
    instances = _discover(Precedence([], {}, program).read)
    return settings_parser(program, declare(instances, plugins), None, own=True)


def _discover(read: Callable[[Schema], Texts]) -> Instances:
    """Find the instances: the lists of the core name the outputs, and outputs may list transforms of their own."""
    defaults = {(CORE, option.name): Text(option.show(option.default), "default") for option in options_of(CoreOptions)}
    outputs = find_outputs((defaults | read(declare_lists([])))[CORE, "output"])
    texts = defaults | read(declare_lists(output.name for output in outputs))
    chains = {section: text for (section, name), text in texts.items() if name == "transform"}
    return find_instances(texts[CORE, "cp-address"], texts[CORE, "output"], chains)


def _discover_in_file(precedence: Precedence) -> Instances:
    if not precedence.file:
        return _discover(lambda _declarations: {})
    try:
        return _discover(precedence.in_file_only().read)
    except ConfigError:
        # What is wrong there is overridden, or it would have been found before.
        return Instances((), (), (), {})


def _control_plane(one: Instance, values: Values, plugins: Plugins) -> ControlPlaneSettings:
    plugin = plugins.source(one.plugin)
    options: Any = values.read(plugin.options, one.name or CORE, inherited=True)
    assert one.url
    return ControlPlaneSettings(one.name, one.url, plugin, options, partial(plugins.provider, "source", one.plugin))


def _transform(one: Instance, values: Values, plugins: Plugins) -> TransformSettings:
    plugin = plugins.transform(one.plugin)
    options: Any = values.read(plugin.options, one.name)
    return TransformSettings(one.name, plugin, options, partial(plugins.provider, "transform", one.plugin))


def _output(
    one: Instance, values: Values, plugins: Plugins, instances: Instances, transforms: Mapping[str, TransformSettings]
) -> OutputSettings:
    plugin = plugins.output(one.plugin)
    options: Any = values.read(plugin.options, one.name)
    shared = {shared.name: values.value(shared, one.name, inherited=True) for shared in options_for_outputs()}
    chain = instances.chains.get(one.name, instances.chains[CORE])
    return OutputSettings(
        name=one.name,
        plugin=plugin,
        options=options,
        label_profile=shared["label-profile"],
        # One that is missing has a mistake, which is told anyway.
        transforms=tuple(transforms[name] for name in chain if name in transforms),
        min_interval=shared["min-interval"],
        distribution=partial(plugins.provider, "output", one.plugin),
    )
