"""Load plugins: only those that are needed, and a broken one does not affect the others.

pluggy's own loader stops at the first broken plugin, and silently skips a second one of the same name.
"""

from collections.abc import Iterable
from functools import cached_property
from typing import NamedTuple, TypeVar, cast

import pluggy

from kuma_sd.core.errors import PluginError
from kuma_sd.core.option_types import FileContent
from kuma_sd.core.options import NoOptions, check_defaults
from kuma_sd.core.text import did_you_mean
from kuma_sd.plugin import event_hooks, hook_implementations, hookspecs
from kuma_sd.plugin.catalogue import FILE, PLUGIN, Available, Candidate, Catalogue, EntryPoint
from kuma_sd.plugin.code_place import unexpected
from kuma_sd.plugin.hook_implementations import HookTransform, Listeners
from kuma_sd.plugin.interfaces import CommandPlugin, OutputPlugin, SourcePlugin, TransformPlugin

AnyPlugin = SourcePlugin | TransformPlugin | OutputPlugin
"""A description with options."""

Description = AnyPlugin | CommandPlugin
"""Any description that a plugin returns."""

P = TypeVar("P", bound=Description)

DESCRIBING: dict[str, tuple[str, type[Description]]] = {
    "source": ("kuma_sd_source_plugin", SourcePlugin),
    "transform": ("kuma_sd_transform_plugin", TransformPlugin),
    "output": ("kuma_sd_output_plugin", OutputPlugin),
    "command": ("kuma_sd_command_plugin", CommandPlugin),
}
"""For each kind of plugin that is described, the hook that returns the description, and its class."""

KINDS = (*DESCRIBING, PLUGIN, FILE)
"""All kinds of plugins."""


class Loaded(NamedTuple):
    """A loaded plugin, or the error that prevented loading it.

    Args:
        available: which plugin.
        plugin: its description; None if it only has hooks, or cannot be loaded.
        hooks: the names of its hooks.
        error: why it cannot be loaded; None if it can.
    """

    available: Available
    plugin: Description | None = None
    hooks: tuple[str, ...] = ()
    error: PluginError | None = None


class Plugins:
    """The plugins that one reading of the settings loads, all in one pluggy manager.

    Args:
        entry_points: the entry points to use instead of the installed ones.
    """

    def __init__(self, entry_points: Iterable[EntryPoint] | None = None) -> None:
        self._catalogue = Catalogue(entry_points)
        self._files: tuple[Candidate, ...] = ()
        self._loaded: dict[str, object] = {}
        self._manager: pluggy.PluginManager | None = None

    def fresh(self, files: Iterable[FileContent] | None = None) -> "Plugins":
        """Return the plugins for another reading of the settings: nothing is loaded, but nothing is imported twice.

        Args:
            files: the plugin files that the settings name; None for the same ones.
        """
        plugins = Plugins()
        plugins._catalogue = self._catalogue
        plugins._files = self._files if files is None else self._catalogue.of_files(files)
        return plugins

    def source(self, scheme: str) -> SourcePlugin:
        """Load the source for a URL scheme.

        Raises:
            PluginError: there is no such source, more than one, or it is broken.
        """
        return self._describe(SourcePlugin, "source", scheme)

    def transform(self, name: str) -> TransformPlugin:
        """Load a kind of transform.

        Raises:
            PluginError: there is none, more than one, or it is broken.
        """
        return self._describe(TransformPlugin, "transform", name)

    def output(self, name: str) -> OutputPlugin:
        """Load a kind of output.

        Raises:
            PluginError: there is none, more than one, or it is broken.
        """
        return self._describe(OutputPlugin, "output", name)

    def command(self, name: str) -> CommandPlugin:
        """Load a command.

        Raises:
            PluginError: there is none, more than one, or it is broken.
        """
        return self._describe(CommandPlugin, "command", name)

    def hooks(self, name: str) -> list[str]:
        """Load a plugin for its hooks, and return their names.

        Raises:
            PluginError: there is none, more than one, or it is broken or has no hook.
        """
        candidate = self._find(PLUGIN, name)
        try:
            hooks = self._register(candidate)
            if DESCRIBING["command"][0] in hooks:
                self._check_command(candidate)
        except (Exception, SystemExit) as error:  # (the boundary to plugins: importing one may raise anything)
            raise _broken(PLUGIN, candidate, error) from error
        if not hooks:
            raise _broken(
                PLUGIN,
                candidate,
                PluginError("it has no hook; write a function like kuma_sd_published() with @hookimpl above it"),
            )
        return hooks

    @property
    def manager(self) -> pluggy.PluginManager:
        """Pluggy's manager of all that is loaded; it calls the hooks of what was loaded first first."""
        if self._manager is None:
            self._manager = pluggy.PluginManager(hookspecs.PROJECT)
            self._manager.add_hookspecs(hookspecs)
            self._manager.add_hookspecs(event_hooks)
            # pluggy calls the hooks of what was registered last first.
            for name, plugin in reversed(self._loaded.items()):
                self._manager.register(plugin, name)
        return self._manager

    @property
    def listeners(self) -> Listeners:
        """Who listens to events."""
        return hook_implementations.listeners(self.manager)

    @cached_property
    def transforms(self) -> list[HookTransform]:
        """The steps that hooks add to every chain; to be asked for once all is loaded."""
        return hook_implementations.transforms(self.manager)

    def available(self) -> list[Available]:
        """List the plugins that can be loaded, sorted, without importing them."""
        return sorted(candidate.available for candidate in self._candidates)

    def kinds_and_names(self) -> list[tuple[str, str]]:
        """List the plugins that can be loaded, sorted; without their distributions, which take long to read."""
        return sorted((candidate.kind, candidate.name) for candidate in self._candidates)

    def provider(self, kind: str, name: str) -> str:
        """Name the distribution that a plugin comes from, like ``kuma-sd-example 1.0``."""
        found = [candidate for candidate in self._candidates if candidate.is_for(kind, name)]
        return " and ".join(candidate.available.provider for candidate in found)

    def load_all(self) -> list[Loaded]:
        """Load all plugins; a broken one is reported and does not affect the others."""
        return [self._try(available) for available in self.available()]

    @property
    def _candidates(self) -> tuple[Candidate, ...]:
        return (*self._catalogue.installed, *self._files)

    def _try(self, available: Available) -> Loaded:
        kind, name = available[:2]
        try:
            if kind in DESCRIBING:
                description = self._describe(DESCRIBING[kind][1], kind, name)
                return Loaded(available, description, tuple(self._find(kind, name).hooks))
            if kind not in (PLUGIN, FILE):
                raise _misnamed(available)
            return Loaded(available, hooks=tuple(self.hooks(name)))
        except PluginError as error:
            return Loaded(available, error=error)

    def _find(self, kind: str, name: str) -> Candidate:
        candidates = [candidate for candidate in self._candidates if candidate.is_for(kind, name)]
        if not candidates:
            raise self._unknown(kind, name)
        if len(candidates) > 1:
            both = " and ".join(sorted(candidate.available.provider for candidate in candidates))
            raise PluginError(f"{kind} '{name}' is provided twice, by {both}; remove all but one of them")
        return candidates[0]

    def _unknown(self, kind: str, name: str) -> PluginError:
        known = sorted({known_name for known_kind, known_name in self.kinds_and_names() if known_kind in (kind, FILE)})
        what = "source for the URL scheme" if kind == "source" else kind
        suggestion = did_you_mean(name, known) or f"; installed: {', '.join(known) or 'none'}"
        return PluginError(f"there is no {what} '{name}'{suggestion}")

    def _register(self, candidate: Candidate) -> list[str]:
        """Add a plugin to pluggy's manager, and return the names of its hooks; one object is added once."""
        plugin, hooks = candidate.plugin, candidate.hooks
        if plugin not in self._loaded.values():
            self._loaded[candidate.full_name] = plugin
            self._manager = None
        return hooks

    def _check_command(self, candidate: Candidate) -> None:
        """Refuse a command that nobody can give, since commands are found without settings."""
        distribution = candidate.available.distribution
        known = [each for each in self._catalogue.installed if each.kind == "command"]
        if candidate.kind == FILE or not any(each.available.distribution == distribution for each in known):
            raise PluginError(
                "its kuma_sd_command_plugin() is never called; "
                "register it in a distribution, as the entry point command.NAME of the group kuma_sd.plugins"
            )

    def _describe(self, description: type[P], kind: str, name: str) -> P:
        candidate = self._find(kind, name)
        try:
            self._register(candidate)
            if kind not in candidate.descriptions:
                candidate.descriptions[kind] = self._ask(candidate.plugin, description, DESCRIBING[kind][0])
        except (Exception, SystemExit) as error:  # (as above)
            raise _broken(kind, candidate, error) from error
        return cast("P", candidate.descriptions[kind])

    def _ask(self, plugin: object, description: type[P], hook: str) -> P:
        results = self.manager.subset_hook_caller(hook, self.manager.get_plugins() - {plugin})()
        if not results:
            raise PluginError(f"it has no {hook}() that returns a description")
        described = results[0]
        if not isinstance(described, description):
            raise PluginError(f"it describes itself with {described!r}, which is no {description.__name__}")
        check_defaults(getattr(described, "options", NoOptions))
        return described


def _broken(kind: str, candidate: Candidate, error: BaseException) -> PluginError:
    reason = str(error) if isinstance(error, PluginError) else unexpected(error)
    reason = " ".join(reason.split())  # pluggy's messages have several lines
    available = candidate.available
    return PluginError(f"{kind} '{available.name}' of {available.provider} cannot be loaded: {reason}")


def _misnamed(available: Available) -> PluginError:
    kinds = ", ".join(f"{kind}.NAME" for kind in DESCRIBING)
    return PluginError(
        f"entry point '{available.full_name}' of {available.provider} is not named as one of {kinds}, NAME"
    )
