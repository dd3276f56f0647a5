"""Load the settings from flags, environment variables and file; validate them and record the origin of each value."""

import argparse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar

from kuma_sd.core.errors import ConfigError, Mistakes, PluginError
from kuma_sd.core.option_types import FileContent
from kuma_sd.core.options import options_of
from kuma_sd.core.url import Url
from kuma_sd.plugin.interfaces import OutputPlugin, SourcePlugin, TransformPlugin
from kuma_sd.plugin.manager import Plugins
from kuma_sd.settings.cli_parser import Program
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
    options_of_plugin,
)
from kuma_sd.settings.secret_exposure import exposed
from kuma_sd.settings.unknown_options import check_file, comments_in_values

PluginT = TypeVar("PluginT", SourcePlugin, TransformPlugin, OutputPlugin)


@dataclass(frozen=True)
class InstanceSettings(Generic[PluginT]):
    """An instance of a plugin.

    Args:
        name: its name; empty for a single control plane without a name.
        plugin_name: the name by which the plugin is found: for a source the URL scheme.
        plugin: the plugin.
        options: the plugin's options.
        distribution: returns the plugin's distribution, like ``kuma-sd 1.0``.
    """

    name: str
    plugin_name: str
    plugin: PluginT
    options: Any
    distribution: Callable[[], str] | None = field(default=None, compare=False, repr=False)

    @property
    def title(self) -> str:
        """Its display name."""
        return self.name


@dataclass(frozen=True, kw_only=True)
class ControlPlaneSettings(InstanceSettings[SourcePlugin]):
    """A control plane to follow.

    Args:
        address: its URL, replicas separated by commas; its text form has no secrets.
    """

    address: Url

    @property
    def title(self) -> str:
        """Its display name: the address if it has no name."""
        return self.name or str(self.address)


TransformSettings = InstanceSettings[TransformPlugin]
"""A transform in use."""


@dataclass(frozen=True, kw_only=True)
class OutputSettings(InstanceSettings[OutputPlugin]):
    """An output to publish to.

    Args:
        label_profile: the label profile of its targets.
        transforms: the transforms, in order.
        min_interval: minimum time between two publications, in seconds.
    """

    label_profile: str
    transforms: tuple[TransformSettings, ...]
    min_interval: float


@dataclass(frozen=True)
class Settings:
    """All settings; equal if they have the same effect.

    Args:
        core: options of the daemon itself.
        control_planes: at least one.
        outputs: at least one.
        web: options of the web listener.
        plugins: all plugins that they load.
        effective: all options in effect, by section.
        warnings: settings without effect, one sentence each.
        arguments: the values of the command's own flags.
        file: the settings file; empty for none.
    """

    core: CoreOptions
    control_planes: tuple[ControlPlaneSettings, ...]
    outputs: tuple[OutputSettings, ...]
    web: WebOptions
    plugins: Plugins = field(default_factory=Plugins, compare=False, repr=False)
    effective: tuple[Effective, ...] = field(default=(), compare=False, repr=False)
    warnings: tuple[str, ...] = field(default=(), compare=False, repr=False)
    arguments: argparse.Namespace = field(default_factory=argparse.Namespace, compare=False, repr=False)
    file: str = field(default="", compare=False, repr=False)

    @property
    def source(self) -> str:
        """A description of where the settings come from."""
        return f"settings from {self.file}" if self.file else "no settings file"


def load(
    arguments: Sequence[str], environment: Mapping[str, str], plugins: Plugins, program: Program | None = None
) -> Settings:
    """Read and validate the settings. For a reload, call it again with the same arguments.

    Args:
        arguments: the command line after the command.
        environment: the environment variables.
        plugins: the plugin manager; only plugins that settings name are loaded.
        program: the command, with flags of its own.

    Raises:
        ConfigError: there are mistakes; the message has the place of each, and what to do.
        PluginError: a plugin that settings name cannot be loaded.
    """
    precedence, mistakes = Precedence(arguments, environment, program or Program()), Mistakes()
    mistakes.attempt(precedence.check_syntax)
    instances = mistakes.attempt(_discover, precedence.read)
    if instances is None:
        mistakes.check()
    assert instances is not None
    plugins, files = mistakes.attempt(_load_hooks, precedence, plugins) or (plugins, ())
    usable = _usable(instances, plugins, mistakes)
    schema = declare(usable, plugins)
    # Flags of an instance whose plugin cannot be loaded are unknown, but no mistake of their own.
    texts, namespace = precedence.parse(schema) if usable == instances else precedence.parse_known(schema)
    in_file, warnings = _discover_in_file(precedence), list[str]()
    if precedence.file:
        mistakes.attempt(check_file, precedence.file, schema, usable, in_file, plugins.fresh())
        warnings += comments_in_values(precedence.file)
    warnings += precedence.ignored(schema, namespace, set(in_file.names) - set(instances.names))
    settings = _read(Values(texts), usable, plugins, mistakes)
    warnings += exposed(settings.effective, precedence.path)
    # The content that was loaded, whatever the files hold by now.
    core = replace(settings.core, plugin_file=files)
    return replace(settings, core=core, warnings=tuple(warnings), arguments=namespace, file=precedence.path)


def _load_hooks(precedence: Precedence, plugins: Plugins) -> tuple[Plugins, tuple[FileContent, ...]]:
    """Load the plugins that the settings name for their hooks, and return all plugins and the content of the files.

    Plugin files come first, since they may also provide the instances that the settings name.
    """
    texts = precedence.read(declare_lists([]))
    options = {option.name: option for option in options_of(CoreOptions)}
    files: tuple[FileContent, ...] = Values(texts).value(options["plugin-file"], CORE)
    plugins = plugins.fresh(files)
    of_files = [file.path.stem for file in files if file.path]
    for option, names in (("plugins", Values(texts).value(options["plugins"], CORE)), ("plugin-file", of_files)):
        for name in names:
            try:
                plugins.hooks(name)
            except PluginError as error:
                raise error.within(texts[CORE, option].origin) from error.__cause__
    return plugins, files


def _usable(instances: Instances, plugins: Plugins, mistakes: Mistakes) -> Instances:
    """Return the instances whose plugins can be loaded; that another cannot is a mistake like others."""

    def of(found: tuple[Instance, ...]) -> tuple[Instance, ...]:
        return tuple(each for each in found if mistakes.attempt(options_of_plugin, each, plugins) is not None)

    return instances._replace(
        control_planes=of(instances.control_planes), outputs=of(instances.outputs), transforms=of(instances.transforms)
    )


def _read(values: Values, instances: Instances, plugins: Plugins, mistakes: Mistakes) -> Settings:
    """Parse all values, and raise one error with all mistakes."""
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
        plugins,
        tuple(values.effective),
    )


def find_daemon(
    arguments: Sequence[str], environment: Mapping[str, str], program: Program
) -> tuple[argparse.Namespace, Path | None]:
    """Return a command's own flags and the control socket, as far as invalid settings allow.

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
    """Return the parser of a command that takes settings, with the default flags, for documentation.

    Args:
        program: the command, with flags of its own.
        plugins: the plugin manager.
    """
    instances = _discover(Precedence([], {}, program).read)
    return settings_parser(program, declare(instances, plugins), None, own=True)


def _discover(read: Callable[[Schema], Texts]) -> Instances:
    """Parse the instances: the core's lists name the outputs, and outputs may have their own list of transforms."""
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
        # A mistake there is overridden, otherwise it would have been found before.
        return Instances((), (), (), {})


def _control_plane(one: Instance, values: Values, plugins: Plugins) -> ControlPlaneSettings:
    plugin = plugins.source(one.plugin)
    options: Any = values.read(plugin.options, one.name or CORE, inherited=True)
    assert one.url
    distribution = partial(plugins.provider, "source", one.plugin)
    return ControlPlaneSettings(one.name, one.plugin, plugin, options, distribution, address=one.url)


def _transform(one: Instance, values: Values, plugins: Plugins) -> TransformSettings:
    plugin = plugins.transform(one.plugin)
    options: Any = values.read(plugin.options, one.name)
    distribution = partial(plugins.provider, "transform", one.plugin)
    return TransformSettings(one.name, one.plugin, plugin, options, distribution)


def _output(
    one: Instance, values: Values, plugins: Plugins, instances: Instances, transforms: Mapping[str, TransformSettings]
) -> OutputSettings:
    plugin = plugins.output(one.plugin)
    options: Any = values.read(plugin.options, one.name)
    shared = {shared.name: values.value(shared, one.name, inherited=True) for shared in options_for_outputs()}
    chain = instances.chains.get(one.name, instances.chains[CORE])
    return OutputSettings(
        name=one.name,
        plugin_name=one.plugin,
        plugin=plugin,
        options=options,
        label_profile=shared["label-profile"],
        # A missing one has a mistake, which is reported anyway.
        transforms=tuple(transforms[name] for name in chain if name in transforms),
        min_interval=shared["min-interval"],
        distribution=partial(plugins.provider, "output", one.plugin),
    )
