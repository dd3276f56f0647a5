"""Declare all options: those of the core, and those of the plugin instances that settings name."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple

from kuma_sd.core.errors import ConfigError, PluginError
from kuma_sd.core.option_types import (
    BOOL,
    DURATION,
    DURATION_OR_FOREVER,
    HOST,
    HOST_AND_PORT,
    NUMBER,
    PATH,
    PERCENTAGE,
    SIZE,
    TEXT,
    FileContent,
    choice,
    list_of,
)
from kuma_sd.core.options import Option, OptionType, option, options_of
from kuma_sd.core.url import parse_url
from kuma_sd.plugin.manager import AnyPlugin, Plugins
from kuma_sd.plugin.plugin_file import PLUGIN_FILE
from kuma_sd.prometheus.label_profiles import PROFILES
from kuma_sd.settings.instances import Instance, Instances, NamedUrl, parse_named_url

CORE = "kuma-sd"
WEB = "web"

Place = tuple[str, str]
"""The place of an option: section and name."""


def _items(form: str) -> OptionType[tuple[str, ...]]:
    return dataclasses.replace(list_of(TEXT), name=form)


@dataclass(frozen=True)
class CoreOptions:
    """Options of the daemon itself."""

    cp_address: tuple[NamedUrl, ...] = option(
        (NamedUrl("", parse_url("grpc://localhost:5676")),),
        list_of(OptionType("[NAME=]URL", parse_named_url, may_hold_secret=True)),
        "Control planes to follow. Several are merged; give each a name. Hosts after a comma are replicas of "
        "one control plane.",
    )
    output: tuple[str, ...] = option(
        ("file_sd",), _items("[NAME=]OUTPUT"), "Outputs to publish to. Each has its options in a section of its name."
    )
    transform: tuple[str, ...] = option(
        (),
        _items("[NAME=]TRANSFORM"),
        "Transforms to apply to each target, in this order. Each has its options in a section of its name.",
    )
    plugins: tuple[str, ...] = option(
        (), _items("NAME"), "Plugins to load for their hooks, besides those of sources, transforms and outputs."
    )
    plugin_file: tuple[FileContent, ...] = option(
        (),
        list_of(PLUGIN_FILE),
        "Python files to load as plugins. Only root and the user of kuma-sd may be able to write them.",
    )
    label_profile: str = option(
        next(iter(PROFILES)),
        choice(*PROFILES),
        "Labels of the targets: those of the Go program, those of Prometheus's own kuma_sd_configs, or both.",
    )
    min_interval: float = option(
        1.0,
        DURATION,
        "Minimum time between two publications to an output. The first change is published at once; later ones "
        "are batched.",
    )
    start_wait: float = option(
        30.0,
        DURATION_OR_FOREVER,
        "Maximum time that the first publication waits for control planes that have not answered yet.",
    )
    guard_max_drop: float = option(
        0.5,
        PERCENTAGE,
        "Maximum share of a control plane's targets, or of one mesh's, that may vanish within guard-hold.",
    )
    guard_hold: float = option(
        120.0,
        DURATION_OR_FOREVER,
        "How long targets that vanish in a suspicious way stay published. 0 removes them at once.",
    )
    max_age: float = option(
        float("inf"),
        DURATION_OR_FOREVER,
        "How long the targets of a control plane stay after the loss of contact. It goes on over restarts, but after a "
        "start nothing expires before start-wait.",
    )
    state_dir: Path = option(
        Path("/var/lib/kuma-sd"),
        PATH,
        "Directory in which the last good targets are saved. After a restart kuma-sd begins with them.",
    )
    control_socket: Path | None = option(
        None,
        PATH,
        "Socket at which 'kuma-sd status', 'kuma-sd accept' and others ask the daemon. If not set: control.sock in "
        "the directory kuma-sd of $RUNTIME_DIRECTORY, which systemd sets; without it, /run/kuma-sd/control.sock for "
        "root, and $XDG_RUNTIME_DIR/kuma-sd/control.sock, else /tmp/kuma-sd-UID/control.sock, for others.",
    )
    max_labels: int = option(
        1000, NUMBER, "Maximum number of labels of a target. A target with more is left out.", at_least=1
    )
    max_label_value_length: int = option(
        2**16, SIZE, "Maximum length of a label's value. A target with a longer one is left out.", at_least=1
    )
    log_level: str = option("info", choice("debug", "info", "warn", "error", "off"), "Minimum log level.")
    log_format: str = option("logfmt", choice("logfmt", "json"), "Format of the log lines on stderr.")


@dataclass(frozen=True)
class WebOptions:
    """Options of the web listener; the control socket does not use them."""

    listen_address: tuple[str, ...] = option(
        ("127.0.0.1:9119",),
        list_of(HOST_AND_PORT),
        "Addresses at which to serve metrics, the status page and what outputs serve. If empty, nowhere.",
    )
    config_file: Path | None = option(
        None,
        PATH,
        "File with TLS, users and headers, in Prometheus's web configuration format. It is read again when it changes.",
    )
    hosts: tuple[str, ...] = option(
        (),
        list_of(HOST),
        "Host names by which clients may open kuma-sd, besides localhost and IP addresses. If empty, any name is "
        "allowed, except without a password or TLS: then not on loopback, and not for a page in a browser that "
        "changes something.",
    )
    enable_lifecycle: bool = option(
        False, BOOL, "Answer /-/reload and /-/accept here too, not only on the control socket."
    )


_LISTS = ("cp-address", "transform", "output", "plugins", "plugin-file")
_FOR_OUTPUTS = ("transform", "label-profile", "min-interval")


def options_for_outputs() -> list[Option]:
    """List the core options that an output's section can override."""
    return [declaration for declaration in options_of(CoreOptions) if declaration.name in _FOR_OUTPUTS]


class Declaration(NamedTuple):
    """An option in its section.

    Args:
        section: ``kuma-sd`` or an instance's name.
        option: the option's declaration.
        inherited: whether [kuma-sd] has it too, as default for the section.
        owner: names the plugin that declares it, with its distribution; None for kuma-sd.
    """

    section: str
    option: Option
    inherited: bool = False
    owner: Callable[[], str] | None = None

    @property
    def place(self) -> Place:
        """Its section and name."""
        return self.section, self.option.name

    @property
    def flag(self) -> str:
        """Its flag, like ``--payments-path``."""
        prefix = "" if self.section == CORE else f"{self.section}-"
        return f"--{prefix}{self.option.name}".replace("_", "-")

    @property
    def variable(self) -> str:
        """Its environment variable, like ``KUMA_SD_PAYMENTS_PATH``."""
        return f"KUMA_SD_{self.flag[2:]}".replace("-", "_").upper()


class SchemaGroup(NamedTuple):
    """A group of options in help and the sample file.

    Args:
        section: their section.
        title: the group's title in help texts.
        schema: the options in the order of declaration.
    """

    section: str
    title: str
    schema: tuple[Declaration, ...]


class Schema:
    """All options, each with a unique place and flag.

    Raises:
        ConfigError: two options would have the same flag.
        PluginError: a plugin's option has a reserved name.
    """

    def __init__(self, groups: Iterable[SchemaGroup]) -> None:
        self.groups = tuple(groups)
        self._by_place: dict[Place, Declaration] = {}
        by_flag: dict[str, Declaration] = {}
        for declaration in (declaration for group in self.groups for declaration in group.schema):
            other = by_flag.setdefault(declaration.flag, declaration)
            if other is not declaration and other.place == declaration.place:
                plugin = declaration if declaration.owner else other
                raise PluginError(
                    f"{_named(plugin)} and kuma-sd both have an option '{declaration.option.name}' "
                    f"in [{declaration.section}]; "
                    "rename the option in your plugin, or install versions of both that go together"
                )
            if other is not declaration:
                raise ConfigError(
                    f"'{declaration.option.name}' in [{declaration.section}] and '{other.option.name}' "
                    f"in [{other.section}] would both be {declaration.flag}; give an instance another name"
                )
            self._by_place[declaration.place] = declaration

    def __iter__(self) -> Iterator[Declaration]:
        return iter(self._by_place.values())

    def __contains__(self, place: object) -> bool:
        return place in self._by_place

    def names(self, section: str) -> list[str]:
        """List the names of a section's options."""
        return [name for declaration, name in self._by_place if declaration == section]

    def sections(self, name: str) -> list[str]:
        """List the sections that have an option of this name."""
        return [section for section, declaration in self._by_place if declaration == name]


def declare_lists(outputs: Iterable[str]) -> Schema:
    """Declare the options that name instances and plugins.

    Args:
        outputs: the names of the outputs known so far.
    """
    core = [Declaration(CORE, declaration) for declaration in options_of(CoreOptions) if declaration.name in _LISTS]
    chain = next(
        options_for_output for options_for_output in options_for_outputs() if options_for_output.name == "transform"
    )
    of_outputs = [SchemaGroup(name, name, (Declaration(name, chain, inherited=True),)) for name in outputs]
    return Schema([SchemaGroup(CORE, CORE, tuple(core)), *of_outputs])


def declare(instances: Instances, plugins: Plugins) -> Schema:
    """Declare all options, loading the plugins that settings name.

    Raises:
        ConfigError: two options would have the same flag.
        PluginError: a plugin cannot be loaded, or its options do not fit.
    """
    core = tuple(Declaration(CORE, declaration) for declaration in options_of(CoreOptions))
    web = tuple(Declaration(WEB, declaration) for declaration in options_of(WebOptions))
    groups = [
        SchemaGroup(CORE, "settings", core),
        *_declare_sources(instances, plugins),
        SchemaGroup(WEB, "[web]: HTTP", web),
    ]
    for output in instances.outputs:
        shared = [Declaration(output.name, each, inherited=True) for each in options_for_outputs()]
        owner = partial(_owner, output, plugins)
        own = [Declaration(output.name, each, owner=owner) for each in options_of_plugin(output, plugins)]
        groups.append(SchemaGroup(output.name, f"[{output.name}]: output {output.value}", (*own, *shared)))
    for transform in instances.transforms:
        own = [Declaration(transform.name, each) for each in options_of_plugin(transform, plugins)]
        groups.append(SchemaGroup(transform.name, f"[{transform.name}]: transform {transform.value}", tuple(own)))
    return Schema(groups)


def _declare_sources(instances: Instances, plugins: Plugins) -> list[SchemaGroup]:
    """Declare the options of sources: once for all control planes, and for each control plane with a section."""
    for_all: dict[str, Declaration] = {}
    of_one: list[SchemaGroup] = []
    for control_plane in instances.control_planes:
        options = options_of_plugin(control_plane, plugins)
        for each in options:
            # Sources may share an option name: each parses it with its own type; the flag shows the help of the first.
            mine = Declaration(CORE, each, owner=partial(_owner, control_plane, plugins))
            first = for_all.setdefault(each.name, mine)
            if (first.option.type.secret, first.option.type.repeated) != (each.type.secret, each.type.repeated):
                raise PluginError(
                    f"{_named(first)} and {_named(mine)} do not agree on what kind of option '{each.name}' is; "
                    "rename the option in your plugin, or use one of them"
                )
        if control_plane.name:
            own = tuple(Declaration(control_plane.name, each, inherited=True) for each in options)
            of_one.append(
                SchemaGroup(control_plane.name, f"[{control_plane.name}]: control plane {control_plane.value}", own)
            )
    return [SchemaGroup(CORE, "control planes", tuple(for_all.values())), *of_one]


def _named(declaration: Declaration) -> str:
    return declaration.owner() if declaration.owner else "kuma-sd"


def _owner(instance: Instance, plugins: Plugins) -> str:
    return f"{instance.kind} '{instance.plugin}' of {plugins.provider(instance.kind, instance.plugin)}"


def options_of_plugin(instance: Instance, plugins: Plugins) -> tuple[Option, ...]:
    """List the options of the plugin that an instance names.

    Raises:
        PluginError: the plugin cannot be loaded.
    """
    loaders: dict[str, Callable[[str], AnyPlugin]] = {
        "source": plugins.source,
        "transform": plugins.transform,
        "output": plugins.output,
    }
    try:
        return options_of(loaders[instance.kind](instance.plugin).options)
    except PluginError as error:
        if instance.origin == "default":
            raise
        raise PluginError(f"{instance.origin}: {error}") from error
