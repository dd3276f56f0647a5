"""Every option that may hold a secret, as the plugins declare them, so that a new one is tried too."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from kuma_sd.core.option_types import SECRET_FILE
from kuma_sd.core.options import Option, options_of
from kuma_sd.plugin.manager import Plugins

MARK = "Qx7"
"""What every part of a hostile secret ends with, so that half of one is found, too."""

BETWEEN = ("", "%zz", *"@/?#:+%&= \\\"'[],;ü\t")

HOSTILE = [f"pa{odd}s3cr3t{MARK}" for odd in BETWEEN]
"""Passwords as people have them; whatever stands behind the odd character is the part that gets lost."""


class Tried(NamedTuple):
    """An option that may hold a secret, and the plugin that has it."""

    kind: str
    plugin: str
    option: Option


def declared() -> Iterator[tuple[Any, Tried]]:
    """Yield every option of every plugin, with its plugin."""
    plugins = Plugins()
    kinds: dict[str, Callable[[str], Any]]
    kinds = {"source": plugins.source, "output": plugins.output, "transform": plugins.transform}
    for available in plugins.available():
        plugin = kinds[available.kind](available.name)
        for option in options_of(plugin.options):
            yield plugin, Tried(available.kind, available.name, option)


def once(wanted: Callable[[Option], bool]) -> list[Tried]:
    """Return all options of a sort, once for each plugin, whatever its schemes."""
    found: dict[tuple[type, str], Tried] = {}
    for plugin, tried in declared():
        if wanted(tried.option):
            found.setdefault((plugin.options, tried.option.name), tried)
    return list(found.values())


OPTIONS = once(lambda option: option.type.secret or option.type.may_hold_secret)

FILES = once(lambda option: option.type is SECRET_FILE)


def names_of(tried: list[Tried]) -> list[str]:
    """Return how tests with these options are called."""
    return [f"{one.plugin}-{one.option.name}" for one in tried]


def assert_clean(text: str, what: str) -> None:
    """Raise if a text holds a part of a secret."""
    assert MARK not in text, f"a secret is in what {what} shows:\n{text}"
