"""Find and load plugins: only those that are needed, and a broken one does not affect the others.

pluggy's own loader stops at the first broken plugin, and silently skips a second one of the same name.
"""

import importlib.metadata
from collections.abc import Callable, Iterable
from functools import cached_property
from typing import Any, NamedTuple, Protocol, TypeVar, cast

import pluggy

from kuma_sd.core.errors import PluginError
from kuma_sd.core.options import options_of
from kuma_sd.core.text import did_you_mean
from kuma_sd.plugin import hookspecs
from kuma_sd.plugin.interfaces import OutputPlugin, SourcePlugin, TransformPlugin

GROUP = "kuma_sd.plugins"

AnyPlugin = SourcePlugin | TransformPlugin | OutputPlugin
P = TypeVar("P", bound=AnyPlugin)

_HOOKS: dict[str, tuple[str, type[AnyPlugin]]] = {
    "source": ("kuma_sd_source_plugin", SourcePlugin),
    "transform": ("kuma_sd_transform_plugin", TransformPlugin),
    "output": ("kuma_sd_output_plugin", OutputPlugin),
}


class EntryPoint(Protocol):
    """The part of `importlib.metadata.EntryPoint` that is used here."""

    @property
    def name(self) -> str:
        """``KIND.NAME``."""

    @property
    def dist(self) -> importlib.metadata.Distribution | None:
        """The distribution it belongs to."""

    def load(self) -> Any:  # noqa: ANN401 (any module or object)
        """Import the object that it names."""


class Direct(NamedTuple):
    """An entry point for an existing object instead of an installed one; for tests."""

    name: str
    plugin: object
    dist: importlib.metadata.Distribution | None = None

    def load(self) -> object:
        """Return the object."""
        return self.plugin


class Available(NamedTuple):
    """An installed plugin, not loaded yet. The name of a source is a URL scheme."""

    kind: str
    name: str
    distribution: str
    version: str


class Loaded(NamedTuple):
    """A loaded plugin, or the error that prevented loading it: one of both is None."""

    available: Available
    plugin: AnyPlugin | None
    error: PluginError | None


class Plugins:
    """All installed plugins.

    Args:
        entry_points: the entry points to use instead of the installed ones.
    """

    def __init__(self, entry_points: Iterable[EntryPoint] | None = None) -> None:
        self._given = None if entry_points is None else tuple(entry_points)
        self._loaded: dict[tuple[str, str], AnyPlugin] = {}

    def source(self, scheme: str) -> SourcePlugin:
        """Load the source for a URL scheme.

        Raises:
            PluginError: there is no such source, more than one, or it is broken.
        """
        return self._get(SourcePlugin, "source", scheme)

    def transform(self, name: str) -> TransformPlugin:
        """Load a kind of transform.

        Raises:
            PluginError: there is none, more than one, or it is broken.
        """
        return self._get(TransformPlugin, "transform", name)

    def output(self, name: str) -> OutputPlugin:
        """Load a kind of output.

        Raises:
            PluginError: there is none, more than one, or it is broken.
        """
        return self._get(OutputPlugin, "output", name)

    def available(self) -> list[Available]:
        """List the installed plugins, sorted, without importing them."""
        return sorted(map(_describe, self._entry_points))

    def provider(self, kind: str, name: str) -> str:
        """Name the distribution that a plugin comes from, like ``kuma-sd-example 1.0``."""
        return " and ".join(_provider(entry) for entry in self._candidates(kind, name))

    def load_all(self) -> list[Loaded]:
        """Load all installed plugins; a broken one is reported and does not affect the others."""
        results = []
        for available in self.available():
            try:
                if available.kind not in _HOOKS:
                    raise _misnamed(available)
                plugin = self._get(_HOOKS[available.kind][1], available.kind, available.name)
                results.append(Loaded(available, plugin, None))
            except PluginError as error:
                results.append(Loaded(available, None, error))
        return results

    @cached_property
    def _entry_points(self) -> tuple[EntryPoint, ...]:
        return tuple(importlib.metadata.entry_points(group=GROUP)) if self._given is None else self._given

    def _candidates(self, kind: str, name: str) -> list[EntryPoint]:
        return [entry for entry in self._entry_points if entry.name == f"{kind}.{name}"]

    def _get(self, description: type[P], kind: str, name: str) -> P:
        if (kind, name) not in self._loaded:
            candidates = self._candidates(kind, name)
            if not candidates:
                raise self._unknown(kind, name)
            if len(candidates) > 1:
                both = " and ".join(sorted(map(_provider, candidates)))
                raise PluginError(f"{kind} '{name}' is provided twice, by {both}; uninstall all but one of them")
            self._loaded[kind, name] = _load(candidates[0], description, kind, name)
        return cast("P", self._loaded[kind, name])

    def _unknown(self, kind: str, name: str) -> PluginError:
        known = sorted({available.name for available in self.available() if available.kind == kind})
        what = "source for the URL scheme" if kind == "source" else kind
        suggestion = did_you_mean(name, known) or f"; installed: {', '.join(known) or 'none'}"
        return PluginError(f"there is no {what} '{name}'{suggestion}")


def _load(entry: EntryPoint, description: type[P], kind: str, name: str) -> P:
    try:
        described = _described(entry.load(), description, _HOOKS[kind][0])
    except (Exception, SystemExit) as error:  # (the boundary to plugins: importing one may raise anything)
        reason = str(error) if isinstance(error, PluginError) else f"{type(error).__name__}: {error}"
        reason = " ".join(reason.split())  # pluggy's messages have several lines
        raise PluginError(f"{kind} '{name}' of {_provider(entry)} cannot be loaded: {reason}") from error
    return described


def _described(implementation: object, description: type[P], hook: str) -> P:
    # One manager for each plugin, so that an error names the right plugin.
    manager = pluggy.PluginManager(hookspecs.PROJECT)
    manager.add_hookspecs(hookspecs)
    manager.register(implementation)
    manager.check_pending()
    call: Callable[[], list[object]] = getattr(manager.hook, hook)
    results = call()
    if not results:
        raise PluginError(f"it has no {hook}() that returns a description")
    described = results[0]
    if not isinstance(described, description):
        raise PluginError(f"it describes itself with {described!r}, which is no {description.__name__}")
    options_of(described.options)
    return described


def _misnamed(available: Available) -> PluginError:
    kinds = ", ".join(f"{kind}.NAME" for kind in _HOOKS)
    entry = f"{available.kind}.{available.name}" if available.kind else available.name
    provider = f"{available.distribution} {available.version}".rstrip()
    return PluginError(f"entry point '{entry}' of {provider} is not named as one of {kinds}")


def _describe(entry: EntryPoint) -> Available:
    kind, _, name = entry.name.rpartition(".") if entry.name.count(".") == 1 else ("", "", entry.name)
    if entry.dist is None:
        return Available(kind, name, "no distribution", "")
    return Available(kind, name, entry.dist.name, entry.dist.version)


def _provider(entry: EntryPoint) -> str:
    return " ".join(filter(None, _describe(entry)[2:]))
