"""Load the settings from flags, environment variables and file; validate them and record the origin of each value."""

import argparse
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from kuma_sd.core.errors import ConfigError, Mistakes, PluginError
from kuma_sd.core.option_types import FileContent
from kuma_sd.core.options import options_of
from kuma_sd.plugin.manager import Plugins
from kuma_sd.settings.cli_parser import Program
from kuma_sd.settings.config_file import ConfigFile
from kuma_sd.settings.flags import settings_parser
from kuma_sd.settings.instances import DEFAULT, Instance, Instances, Text, find_instances, find_outputs
from kuma_sd.settings.literal_text import taken_literally
from kuma_sd.settings.misread_lines import comments_in_values
from kuma_sd.settings.model import ControlPlaneSettings, OutputSettings, Settings, TransformSettings, WrongSettingsError
from kuma_sd.settings.parsing import Values
from kuma_sd.settings.precedence import Precedence, Texts
from kuma_sd.settings.schema import (
    CORE,
    WEB,
    CoreOptions,
    Schema,
    WebOptions,
    declare,
    declare_lists,
    options_for_outputs,
    options_of_plugin,
)
from kuma_sd.settings.secret_exposure import exposed
from kuma_sd.settings.unknown_options import check_file


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
        WrongSettingsError: there are mistakes; the message has the place of each, and what to do.
        ConfigError: the lists of instances cannot be read, or a flag is misused.
        PluginError: a plugin that settings name cannot be loaded, and nothing else is wrong.
    """
    precedence, mistakes = Precedence(arguments, environment, program or Program()), Mistakes()
    mistakes.attempt(precedence.check_syntax)
    in_lists = Mistakes()
    instances = mistakes.attempt(_discover, precedence.read, in_lists)
    mistakes.attempt(in_lists.check)
    if instances is None:
        mistakes.check()
    assert instances is not None
    plugins, files = mistakes.attempt(_load_hooks, precedence, plugins) or (plugins, ())
    usable = _usable(instances, plugins, mistakes)
    schema = declare(usable, plugins)
    # What belongs to an instance that cannot be used is unknown, but no mistake of its own.
    is_whole = usable == instances and not in_lists
    texts, namespace = precedence.parse(schema) if is_whole else precedence.parse_known(schema)
    in_file = _discover_in_file(precedence)
    if precedence.file and not in_lists:
        mistakes.attempt(check_file, precedence.file, schema, usable, in_file, plugins.fresh())
    lists = declare_lists([]) if in_lists else ()
    # Mistakes in lists are known already.
    values = Values({each: text for each, text in texts.items() if each not in lists}, _places(usable, precedence.file))
    settings = _read(values, usable, plugins, mistakes)
    ignored = precedence.ignored(schema, namespace, set(in_file.names) - set(instances.names))
    settings = replace(
        settings,
        # The content that was loaded, whatever the files hold by now.
        core=replace(settings.core, plugin_file=files),
        warnings=_warnings(precedence, taken_literally(texts, schema), ignored, settings),
        arguments=namespace,
        file=precedence.path,
    )
    _refuse(settings, mistakes)
    return settings


def _warnings(
    precedence: Precedence, literal: Iterable[str], ignored: Iterable[str], settings: Settings
) -> tuple[str, ...]:
    in_values = comments_in_values(precedence.file) if precedence.file else ()
    return (*in_values, *literal, *ignored, *exposed(settings.effective, precedence.path))


def _refuse(settings: Settings, mistakes: Mistakes) -> None:
    try:
        mistakes.check()
    except ConfigError as error:
        raise WrongSettingsError(*error.mistakes, usable=settings) from error


def _places(instances: Instances, file: ConfigFile | None) -> dict[str, str]:
    """Return where each instance stands: the header of its section, or the list that names it."""
    every = (*instances.control_planes, *instances.outputs, *instances.transforms)
    places = {instance.name: instance.origin for instance in every if instance.origin != DEFAULT}
    headers = {section: f"{file.name}:{line}" for section, line in file.sections.items()} if file else {}
    return places | headers


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
    """Parse all values; those with mistakes, and instances that have any, are left out."""
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
    return Settings(
        core or CoreOptions(),
        tuple(control_plane for control_plane in control_planes if control_plane),
        tuple(output for output in outputs if output),
        web or WebOptions(),
        plugins,
        tuple(values.effective),
        values.places,
    )


def parser_of(program: Program, plugins: Plugins) -> argparse.ArgumentParser:
    """Return the parser of a command that takes settings, with the default flags, for documentation.

    Args:
        program: the command, with flags of its own.
        plugins: the plugin manager.
    """
    instances = _discover(Precedence([], {}, program).read, Mistakes())
    return settings_parser(program, declare(instances, plugins), None, own=True)


def _discover(read: Callable[[Schema], Texts], mistakes: Mistakes) -> Instances:
    """Parse the instances: the core's lists name the outputs, and outputs may have their own list of transforms."""
    defaults = {(CORE, option.name): Text(option.show(option.default), DEFAULT) for option in options_of(CoreOptions)}
    outputs = mistakes.attempt(find_outputs, (defaults | read(declare_lists([])))[CORE, "output"])
    texts = defaults | read(declare_lists(output.name for output in outputs or ()))
    chains = {section: text for (section, name), text in texts.items() if name == "transform"}
    return find_instances(texts[CORE, "cp-address"], texts[CORE, "output"], chains, mistakes)


def _discover_in_file(precedence: Precedence) -> Instances:
    mistakes = Mistakes()
    if not precedence.file:
        return _discover(lambda _declarations: {}, mistakes)
    try:
        found = _discover(precedence.in_file_only().read, mistakes)
        mistakes.check()
    except ConfigError:
        # A mistake there is overridden, otherwise it would have been found before.
        return Instances((), (), (), {})
    return found


def _control_plane(one: Instance, values: Values, plugins: Plugins) -> ControlPlaneSettings:
    plugin = plugins.source(one.plugin)
    options: Any = values.read(plugin.options, one.name or CORE, inherited=True)
    assert one.url
    return ControlPlaneSettings(one.name, one.plugin, plugin, options, address=one.url)


def _transform(one: Instance, values: Values, plugins: Plugins) -> TransformSettings:
    plugin = plugins.transform(one.plugin)
    options: Any = values.read(plugin.options, one.name)
    return TransformSettings(one.name, one.plugin, plugin, options)


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
    )
