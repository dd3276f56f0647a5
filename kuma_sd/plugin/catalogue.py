"""Find plugins without importing them: those of installed distributions, and those of single files."""

import importlib.metadata
from collections.abc import Callable, Iterable
from functools import cached_property, partial
from typing import Any, NamedTuple, Protocol

from kuma_sd.core.option_types import FileContent
from kuma_sd.plugin.hook_check import check_hooks
from kuma_sd.plugin.plugin_file import load_plugin_file

GROUP = "kuma_sd.plugins"

PLUGIN = "plugin"
"""The kind of plugins that only have hooks; the name of their entry point has no kind in front."""

FILE = "file"
"""The kind of plugin files, which may be of several kinds at once."""


class EntryPoint(Protocol):
    """The part of `importlib.metadata.EntryPoint` that is used here."""

    @property
    def name(self) -> str:
        """``KIND.NAME``, or a plain name."""

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
    """A plugin that is not loaded yet.

    Args:
        kind: source, transform, output, plugin or file; empty if its entry point has no valid name.
        name: its name; that of a source is a URL scheme.
        distribution: where it comes from; for a plugin file its path.
        version: the version of the distribution; empty for a file.
    """

    kind: str
    name: str
    distribution: str
    version: str

    @property
    def full_name(self) -> str:
        """The name of its entry point, or of the file."""
        return _full_name(self.kind, self.name)

    @property
    def provider(self) -> str:
        """Where it comes from, like ``kuma-sd-example 1.0``."""
        return f"{self.distribution} {self.version}".rstrip()


class Candidate:
    """A plugin that can be loaded. What was loaded is remembered, so that the next reading of the settings finds it.

    Args:
        kind: its kind.
        name: its name.
        origin: returns its distribution and version; reading these takes time.
        load: loads it.
    """

    def __init__(self, kind: str, name: str, origin: Callable[[], tuple[str, str]], load: Callable[[], object]) -> None:
        self.descriptions: dict[str, Any] = {}
        self.kind = kind
        self.name = name
        self._origin = origin
        self._load = load

    @property
    def full_name(self) -> str:
        """The name of its entry point, or of the file."""
        return _full_name(self.kind, self.name)

    @cached_property
    def available(self) -> Available:
        """What is known without loading it."""
        return Available(self.kind, self.name, *self._origin())

    @cached_property
    def plugin(self) -> object:
        """Its module or object, loaded when it is first asked for."""
        return self._load()

    @cached_property
    def hooks(self) -> list[str]:
        """The names of the hooks that it implements; PluginError if one is wrong."""
        return check_hooks(self.plugin)

    def is_for(self, kind: str, name: str) -> bool:
        """Tell whether it may be the plugin of this kind and name."""
        return self.name == name and self.kind in (kind, FILE)


class Catalogue:
    """All plugins that can be loaded.

    Args:
        entry_points: the entry points to use instead of the installed ones.
    """

    def __init__(self, entry_points: Iterable[EntryPoint] | None = None) -> None:
        self._given = None if entry_points is None else tuple(entry_points)
        self._files: dict[FileContent, Candidate] = {}

    @cached_property
    def installed(self) -> tuple[Candidate, ...]:
        """Those of distributions."""
        entries = importlib.metadata.entry_points(group=GROUP) if self._given is None else self._given
        return tuple(Candidate(*_kind_and_name(entry.name), partial(_origin, entry), entry.load) for entry in entries)

    def of_files(self, files: Iterable[FileContent]) -> tuple[Candidate, ...]:
        """Return those of files; a file that did not change is the same one as before."""
        before = self._files
        self._files = {file: before.get(file) or _candidate_of(file) for file in files}
        return tuple(self._files.values())


def _candidate_of(file: FileContent) -> Candidate:
    path = file.path
    assert path is not None
    return Candidate(FILE, path.stem, lambda: (str(path), ""), partial(load_plugin_file, file))


def _full_name(kind: str, name: str) -> str:
    return name if kind in ("", PLUGIN, FILE) else f"{kind}.{name}"


def _kind_and_name(entry: str) -> tuple[str, str]:
    kind, dot, name = entry.partition(".")
    if not dot:
        return PLUGIN, entry
    return (kind, name) if "." not in name else ("", entry)


def _origin(entry: EntryPoint) -> tuple[str, str]:
    if entry.dist is None:
        return "no distribution", ""
    # Not its `name` and `version`, of which each parses the metadata again.
    metadata = entry.dist.metadata
    return metadata["Name"], metadata["Version"]
