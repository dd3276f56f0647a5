"""Reject sections and options of the settings file that have no effect; find environment variables that have none."""

import re
from collections.abc import Collection, Iterable, Iterator, Mapping

from kuma_sd.core.errors import ConfigError, PluginError
from kuma_sd.core.options import options_of
from kuma_sd.core.text import did_you_mean
from kuma_sd.plugin.manager import Plugins
from kuma_sd.settings import go_program
from kuma_sd.settings.config_file import ConfigFile, Entry
from kuma_sd.settings.instances import Instances
from kuma_sd.settings.misread_lines import swallowed_options
from kuma_sd.settings.schema import CORE, WEB, Schema

_PREFIX = "KUMA_SD_"

# Kubernetes sets these variables in every container, for services whose names begin with kuma-sd.
_OF_KUBERNETES = r"(?s)\w+_(SERVICE_HOST|SERVICE_PORT\w*|PORT_[0-9]+_(TCP|UDP|SCTP)\w*)=.*|\w+_PORT=(tcp|udp|sctp)://.*"

_NAMED_BY_NOTHING = "; neither cp-address nor transform nor output has an item of that name"


def check_file(file: ConfigFile, schema: Schema, instances: Instances, in_file: Instances, plugins: Plugins) -> None:
    """Reject unknown sections and options.

    Args:
        file: the file to check.
        schema: all options.
        instances: the instances in use.
        in_file: the instances that the file names. A flag or variable may disable one; its section is then unused.
        plugins: the plugin manager; an empty section named like a transform or output is allowed, as in the sample.

    Raises:
        ConfigError: with each mistake, its line, and a suggestion.
    """
    mistakes = [
        *_unknown_sections(file, instances, in_file, plugins),
        *_unknown_options(file, schema, instances, in_file, plugins),
        *swallowed_options(file, schema),
    ]
    if mistakes:
        raise ConfigError(*mistakes)


def unknown_variables(
    environment: Mapping[str, str], variables: Collection[str], unused: Iterable[str]
) -> Iterator[str]:
    """Return a warning for each environment variable without effect.

    Args:
        environment: the environment variables.
        variables: the names of those that have an effect.
        unused: names of disabled instances; their variables are not a mistake.
    """
    off = tuple(f"{_PREFIX}{name}_".replace("-", "_").upper() for name in unused)
    for name, value in sorted(environment.items()):
        is_foreign = not name.startswith(_PREFIX) or re.fullmatch(_OF_KUBERNETES, f"{name}={value}")
        is_used = name in variables or name in go_program.VARIABLES.values() or name.startswith(off)
        if not is_foreign and not is_used:
            others = (variable.removeprefix(_PREFIX) for variable in variables)
            suggestion = did_you_mean(name.removeprefix(_PREFIX), others, _PREFIX + "{}")
            yield f"unknown environment variable {name}{suggestion}"


def _unknown_sections(file: ConfigFile, instances: Instances, in_file: Instances, plugins: Plugins) -> Iterator[str]:
    known = {CORE, WEB, *instances.names, *in_file.names}
    filled = {entry.section for entry in file.entries}
    kinds = {name: kind for kind, name in plugins.kinds_and_names() if kind != "source"}
    for section, line in file.sections.items():
        if section in known or (section in kinds and section not in filled):
            continue
        yield f"{file.name}:{line}: {_about_section(section, kinds.get(section), known)}"


def _about_section(section: str, kind: str | None, known: set[str]) -> str:
    if kind:
        more = "" if kind == "transform" else "file_sd "
        return f"[{section}] has no effect: no {kind} is named so; add '{kind} = {more}{section}' under [{CORE}]"
    suggestion = did_you_mean(section, sorted(known), "[{}]")
    return f"unknown section [{section}]{suggestion or _NAMED_BY_NOTHING}"


def _unknown_options(
    file: ConfigFile, schema: Schema, instances: Instances, in_file: Instances, plugins: Plugins
) -> Iterator[str]:
    of_sources = _options_of_sources(in_file, plugins)
    for entry in file.entries:
        used = entry.section in (CORE, WEB) or entry.section in instances.names
        switched_off = entry.section == CORE and entry.key in of_sources
        if used and (entry.section, entry.key) not in schema and not switched_off:
            hint = _hint_of_source(entry, plugins) or _hint(entry, schema)
            yield f"{file.name}:{entry.line}: unknown option '{entry.key}' in [{entry.section}]{hint}"


def _hint_of_source(entry: Entry, plugins: Plugins) -> str:
    """Name the addresses that have this option, if the settings have no such address."""
    schemes = [name for kind, name in plugins.kinds_and_names() if kind == "source"]
    having = [scheme for scheme in schemes if entry.key in _options_of_scheme(scheme, plugins)]
    if entry.section != CORE or not having:
        return ""
    return f"; it needs a control plane in cp-address that begins with {' or '.join(f'{name}://' for name in having)}"


def _hint(entry: Entry, schema: Schema) -> str:
    names, elsewhere = schema.names(entry.section), schema.sections(entry.key)
    as_flag = [declaration for declaration in schema if declaration.flag == f"--{entry.key}"]
    if elsewhere:
        return f"; it stands in {' or '.join(f'[{section}]' for section in elsewhere)}"
    if as_flag:
        return f"; it is '{as_flag[0].option.name}' in [{as_flag[0].section}]"
    return did_you_mean(entry.key, names) or f"; there are {', '.join(names) or 'none'}"


def _options_of_sources(instances: Instances, plugins: Plugins) -> set[str]:
    names: set[str] = set()
    for instance in instances.control_planes:
        names.update(_options_of_scheme(instance.plugin, plugins))
    return names


def _options_of_scheme(scheme: str, plugins: Plugins) -> set[str]:
    try:
        return {option.name for option in options_of(plugins.source(scheme).options)}
    except PluginError:
        return set()
