"""The settings as the daemon takes them: read, validated, and with the place of each."""

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import msgspec

from kuma_sd.core.errors import ConfigError
from kuma_sd.core.url import Url
from kuma_sd.plugin.interfaces import OutputPlugin, SourcePlugin, TransformPlugin
from kuma_sd.plugin.manager import Plugins
from kuma_sd.settings.instances import DEFAULT
from kuma_sd.settings.parsing import Effective
from kuma_sd.settings.schema import CORE, CoreOptions, WebOptions

PluginT = TypeVar("PluginT", SourcePlugin, TransformPlugin, OutputPlugin)


class InstanceSettings(msgspec.Struct, Generic[PluginT], frozen=True):
    """An instance of a plugin.

    Args:
        name: its name; empty for a single control plane without a name.
        plugin_name: the name by which the plugin is found: for a source the URL scheme.
        plugin: the plugin.
        options: the plugin's options.
    """

    name: str
    plugin_name: str
    plugin: PluginT
    options: Any

    @property
    def title(self) -> str:
        """Its display name."""
        return self.name


class ControlPlaneSettings(InstanceSettings[SourcePlugin], frozen=True, kw_only=True):
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


class OutputSettings(InstanceSettings[OutputPlugin], frozen=True, kw_only=True):
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
        places: where each instance stands: the header of its section, or the list that names it.
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
    places: Mapping[str, str] = field(default_factory=dict, compare=False, repr=False)
    warnings: tuple[str, ...] = field(default=(), compare=False, repr=False)
    arguments: argparse.Namespace = field(default_factory=argparse.Namespace, compare=False, repr=False)
    file: str = field(default="", compare=False, repr=False)

    @property
    def source(self) -> str:
        """A description of where the settings come from."""
        return f"settings from {self.file}" if self.file else "no settings file"

    def place(self, name: str, option: str = "") -> str:
        """Return where an option of an instance is set, otherwise where the instance stands; empty for a default.

        Args:
            name: the instance; empty for a control plane without a name.
            option: the option's name.
        """
        for section in (name or CORE, CORE):
            for effective in self.effective:
                found = (effective.section, effective.option.name) == (section, option)
                if found and effective.origin != DEFAULT:
                    return effective.origin
        return self.places.get(name, "")

    def at(self, name: str, option: str) -> str:
        """Return what `place` returns, to put in front of a message: with a colon, or empty."""
        place = self.place(name, option)
        return f"{place}: " if place else ""


class WrongSettingsError(ConfigError):
    """Settings hold mistakes.

    Args:
        *mistakes: one line each.
        usable: the settings without the instances that have mistakes, and with defaults for what is wrong elsewhere.
    """

    def __init__(self, *mistakes: str, usable: Settings) -> None:
        super().__init__(*mistakes)
        self.usable = usable
