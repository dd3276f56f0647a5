"""What stands in the settings file and means nothing is a mistake, not a comment."""

from typing import NoReturn

from kuma_sd.core.errors import ConfigError, PluginError
from kuma_sd.core.options import options_of
from kuma_sd.core.text import did_you_mean
from kuma_sd.plugin.manager import Plugins
from kuma_sd.settings.config_file import ConfigFile, Entry
from kuma_sd.settings.instances import Instances
from kuma_sd.settings.schema import CORE, WEB, Schema


def check_file(file: ConfigFile, schema: Schema, instances: Instances, in_file: Instances, plugins: Plugins) -> None:
    """Refuse unknown sections and options.

    Args:
        file: what to check.
        schema: all options there are.
        instances: those in use.
        in_file: those that the file names. A flag or variable may have switched one off; its section is unused then.
        plugins: an empty section of a transform's or output's name may stand there, as in the sample file.

    Raises:
        ConfigError: with the line, and a suggestion.
    """
    known = {CORE, WEB, *instances.names, *in_file.names}
    filled = {entry.section for entry in file.entries}
    samples = {
        available_plugin.name for available_plugin in plugins.available() if available_plugin.kind != "source"
    } - filled
    for section in file.sections:
        if section not in known | samples:
            _refuse_section(file, section, known)
    for entry in file.entries:
        used = entry.section in (CORE, WEB) or entry.section in instances.names
        if used and (entry.section, entry.key) not in schema:
            if entry.section == CORE and entry.key in _options_of_sources(in_file, plugins):
                continue
            _refuse_option(file, entry, schema)


def _refuse_section(file: ConfigFile, section: str, known: set[str]) -> NoReturn:
    suggestion = did_you_mean(section, sorted(known), "[{}]")
    reason = suggestion or "; neither cp-address nor transform nor output has an item of that name"
    raise ConfigError(f"{file.name}:{file.sections[section]}: unknown section [{section}]{reason}")


def _refuse_option(file: ConfigFile, entry: Entry, schema: Schema) -> NoReturn:
    names, elsewhere = schema.names(entry.section), schema.sections(entry.key)
    as_flag = [
        f"; it is '{declaration.option.name}' in [{declaration.section}]"
        for declaration in schema
        if declaration.flag == f"--{entry.key}"
    ]
    if elsewhere:
        reason = f"; it stands in {' or '.join(f'[{section}]' for section in elsewhere)}"
    elif as_flag:
        reason = as_flag[0]
    else:
        reason = did_you_mean(entry.key, names) or f"; there are {', '.join(names) or 'none'}"
    raise ConfigError(f"{file.name}:{entry.line}: unknown option '{entry.key}' in [{entry.section}]{reason}")


def _options_of_sources(instances: Instances, plugins: Plugins) -> set[str]:
    names: set[str] = set()
    for instance in instances.control_planes:
        try:
            names.update(option.name for option in options_of(plugins.source(instance.plugin).options))
        except PluginError:
            continue
    return names
