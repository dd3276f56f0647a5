"""Plugins of every kind, to read settings with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kuma_sd import (
    BOOL,
    NUMBER,
    PATH,
    SECRET,
    SIZE,
    TEXT,
    OptionType,
    OutputPlugin,
    Secret,
    SourcePlugin,
    TransformPlugin,
    choice,
    hookimpl,
    list_of,
    option,
)
from kuma_sd.plugin.catalogue import Direct
from kuma_sd.plugin.manager import Plugins
from kuma_sd.settings.cli_parser import Program
from kuma_sd.settings.loader import load
from kuma_sd.settings.model import Settings


@dataclass(frozen=True)
class StreamOptions:
    name: str = option("kuma_sd", TEXT, "The node id.")
    api_version: str = option("auto", choice("auto", "v1", "v1alpha1"), "The version to speak.")
    max_message_size: int = option(2**30, SIZE, "The largest response that is accepted.")


@dataclass(frozen=True)
class ReplayOptions:
    name: str = option("replay", TEXT, "What the replay calls itself.")
    loop: bool = option(False, BOOL, "Begin again at the end.")


@dataclass(frozen=True)
class FileOptions:
    path: Path = option(Path("/var/run/targets.json"), PATH, "The file, which is 100% replaced.")
    mode: int = option(644, NUMBER, "Its permissions.")


def _refused(text: str) -> str:
    raise ValueError("is not a token" if text else "is empty")


@dataclass(frozen=True)
class PushOptions:
    token: Secret = option(Secret(""), SECRET, "What opens the door.")
    pin: str = option("", OptionType("secret", _refused, secret=True), "Is always wrong.")
    urls: tuple[str, ...] = option((), list_of(TEXT), "Where to push to.")
    limit: int | None = option(None, NUMBER, "How much at most.")

    def __post_init__(self) -> None:
        if self.limit is not None and self.limit < len(self.urls):
            raise ValueError(f"a limit of {self.limit} is less than the number of urls")


@dataclass(frozen=True)
class RuleOptions:
    rules: str = option("", TEXT, "The rules, in YAML.")
    match: str = option("", TEXT, "Which targets.")


def never(*_arguments: Any) -> Any:
    raise AssertionError("settings open nothing")


@dataclass(frozen=True)
class Describes:
    """A module that describes this plugin."""

    description: SourcePlugin | TransformPlugin | OutputPlugin

    @hookimpl
    def kuma_sd_source_plugin(self) -> SourcePlugin | None:
        return self.description if isinstance(self.description, SourcePlugin) else None

    @hookimpl
    def kuma_sd_transform_plugin(self) -> TransformPlugin | None:
        return self.description if isinstance(self.description, TransformPlugin) else None

    @hookimpl
    def kuma_sd_output_plugin(self) -> OutputPlugin | None:
        return self.description if isinstance(self.description, OutputPlugin) else None


def plugins_of(descriptions: Mapping[str, SourcePlugin | TransformPlugin | OutputPlugin]) -> Plugins:
    """Return plugins by the names of their entry points."""
    return Plugins([Direct(name, Describes(description)) for name, description in descriptions.items()])


DESCRIPTIONS: Mapping[str, SourcePlugin | TransformPlugin | OutputPlugin] = {
    "source.grpc": SourcePlugin(never, StreamOptions),
    "source.http": SourcePlugin(never, StreamOptions),
    "source.file": SourcePlugin(never, ReplayOptions),
    "transform.relabel": TransformPlugin(never, RuleOptions),
    "transform.filter": TransformPlugin(never, RuleOptions),
    "output.file_sd": OutputPlugin(never, FileOptions),
    "output.push": OutputPlugin(never, PushOptions),
    "output.null": OutputPlugin(never),
}
PLUGINS = plugins_of(DESCRIPTIONS)


def settings_of(
    *flags: str,
    file: Path | str | None = None,
    environment: Mapping[str, str] | None = None,
    program: Program | None = None,
    plugins: Plugins = PLUGINS,
) -> Settings:
    """Load settings the way the command line does."""
    config: Sequence[str] = ["-c", str(file)] if file else []
    return load([*flags, *config], environment or {}, plugins, program)


def origin_of(settings: Settings, section: str, name: str) -> str:
    """Return where an option's value is from."""
    return next(
        setting.origin for setting in settings.effective if (setting.section, setting.option.name) == (section, name)
    )


def shown(settings: Settings, section: str, name: str) -> str:
    """Return an option's value as it is shown."""
    return next(
        setting.value for setting in settings.effective if (setting.section, setting.option.name) == (section, name)
    )
