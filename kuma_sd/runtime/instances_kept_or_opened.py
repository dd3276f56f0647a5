"""Open instances of plugins: sources, transforms and outputs alike, each with a context of its own."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NamedTuple, TypeVar

from kuma_sd.core.errors import ConfigError, KumaSDError, Mistakes, PluginError
from kuma_sd.core.logger import Logger
from kuma_sd.plugin.code_place import unexpected
from kuma_sd.plugin.context import Context
from kuma_sd.plugin.interfaces import Output, Source
from kuma_sd.settings.model import ControlPlaneSettings, OutputSettings, Settings, TransformSettings
from kuma_sd.state.instance_directory import make_instance_directory

T = TypeVar("T")
S = TypeVar("S", ControlPlaneSettings, TransformSettings, OutputSettings)

_LOG_FIELDS = {"source": "control_plane", "transform": "transform", "output": "output"}
"""The field by which log lines name an instance, by its kind."""

_REQUIRED: Mapping[str, type] = {"source": Source, "transform": Callable, "output": Output}  # type: ignore[dict-item] # (mypy has no type for Callable)
"""What an instance must be, by its kind."""

_REMEDY: Mapping[str, str] = {"output": "; inherit kuma_sd.Output"}
"""How to make an instance what it must be, by its kind."""


class Opener:
    """Opens instances, and reuses those whose plugin, options and address are equal.

    Args:
        settings: all settings.
        before: the contexts of existing instances, by kind and name.
        mistakes: collects what is wrong with the settings.
    """

    def __init__(self, settings: Settings, before: Mapping[tuple[str, str], Context], mistakes: Mistakes) -> None:
        self.contexts: dict[tuple[str, str], Context] = {}
        self._settings = settings
        self._before = before
        self._mistakes = mistakes

    def open_all(
        self, kind: str, settings: Mapping[str, S], running: Mapping[str, tuple[S, Any]]
    ) -> dict[str, tuple[S, Any]]:
        """Open the instances of one kind, and return each with its settings.

        Args:
            kind: source, transform or output.
            settings: their settings, by name.
            running: existing instances, by name.

        Raises:
            PluginError: a plugin fails.
        """
        opened = {}
        for name, instance_settings in settings.items():
            kept = running.get(name)
            if kept and _opened_with(kept[0]) == _opened_with(instance_settings):
                self.contexts[kind, name] = self._before[kind, name]
                opened[name] = instance_settings, kept[1]
            elif (instance := self._mistakes.attempt(self._open_in_place, kind, instance_settings)) is not None:
                opened[name] = instance_settings, instance
        return opened

    def _open_in_place(self, kind: str, settings: S) -> object:
        """Open an instance; an error says where in the settings the mistake is."""
        try:
            return self._open(kind, settings)
        except ConfigError as error:
            if place := self._settings.place(settings.name, error.option):
                error.within(place)
            raise

    def _open(self, kind: str, settings: S) -> object:
        address = settings.address if isinstance(settings, ControlPlaneSettings) else None
        context = self.contexts[kind, settings.name] = Context(
            settings.name,
            title=settings.title,
            address=address,
            log=Logger(settings.plugin.open.__module__, **{_LOG_FIELDS[kind]: settings.title}),
            make_state_dir=partial(make_instance_directory, self._settings.core.state_dir, kind, settings.name),
        )
        distribution = partial(self._settings.plugins.provider, kind, settings.plugin_name)
        owner = Owner(f"{kind} {settings.title}", distribution)
        instance = guarded(owner, settings.plugin.open, settings.options, context)
        if not isinstance(instance, _REQUIRED[kind]):
            raise PluginError(
                f"{owner} fails: it opened {instance!r}, which is no {_REQUIRED[kind].__name__}{_REMEDY.get(kind, '')}"
            )
        return instance


def _opened_with(settings: S) -> tuple[object, ...]:
    address = settings.address if isinstance(settings, ControlPlaneSettings) else None
    return settings.plugin, settings.options, address


class Owner(NamedTuple):
    """An instance, and the distribution to blame for unexpected errors."""

    what: str
    distribution: Callable[[], str] | None = None

    def __str__(self) -> str:
        return f"{self.what} of the plugin distribution {self.distribution()}" if self.distribution else self.what


def guarded(owner: Owner, call: Callable[..., T], *arguments: Any) -> T:  # noqa: ANN401 (each plugin's own options)
    """Call a plugin's code, and name the instance in the error that it raises.

    Raises:
        PluginError: it raised an unexpected error.
    """
    try:
        return call(*arguments)
    except KumaSDError as error:
        error.within(owner.what)
        raise
    except (Exception, SystemExit) as error:
        raise PluginError(f"{owner} fails: {unexpected(error)}") from error
