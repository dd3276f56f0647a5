"""Write which hook calls which plugins, in which order, and which plugins are not loaded."""

from collections.abc import Iterable, Iterator

from kuma_sd.cli.main import COMMANDS
from kuma_sd.plugin.catalogue import Available
from kuma_sd.plugin.hook_check import EVENTS, HOOKS, arguments_of
from kuma_sd.plugin.hook_implementations import TRANSFORM, implementations
from kuma_sd.plugin.manager import KINDS
from kuma_sd.settings.model import Settings

NAME_IS_TAKEN = "kuma-sd has a command of this name itself; give it another name"
"""Why a plugin's command is never run."""


def trace(settings: Settings) -> Iterator[str]:
    """Yield the lines."""
    plugins = settings.plugins
    available = plugins.available()
    providers = {candidate.full_name: candidate.provider for candidate in available}
    loaded = [name for name, _ in reversed(plugins.manager.list_name_plugin())]
    yield "loaded, in this order:"
    yield from _columns([(name, providers[name]) for name in loaded])
    for hook in HOOKS:
        calls = [_call(call.plugin_name, call.opts) for call in implementations(plugins.manager, hook)]
        if calls:
            yield f"\n{hook}({', '.join(arguments_of(hook))}), {_when(hook, settings)}:"
            yield from (f"  {call}" for call in calls)
    yield "\nnot loaded:"
    left_out = [candidate for candidate in available if candidate.full_name not in loaded]
    names = [candidate.full_name for candidate in left_out]
    yield from _columns(
        [(each.full_name, each.provider, _reason(each, names.count(each.full_name))) for each in left_out]
    )


def _call(plugin: str, options: object) -> str:
    given = options if isinstance(options, dict) else {}
    marks = [name for name in ("tryfirst", "trylast", "wrapper") if given.get(name)]
    return f"{plugin} ({', '.join(marks)})" if marks else plugin


def _when(hook: str, settings: Settings) -> str:
    if hook in EVENTS:
        return "in the thread of the events"
    if hook != TRANSFORM:
        return "when the settings are read"
    chains = {output.name: ", ".join(transform.name for transform in output.transforms) for output in settings.outputs}
    named = "; ".join(f"{names} of {output}" for output, names in chains.items() if names)
    return "for each target that is new or changed" + (f", after {named}" if named else "")


def _reason(available: Available, provided: int) -> str:
    if available.kind not in KINDS:
        return "its entry point is not named as KIND.NAME or NAME"
    if available.kind == "command":
        return NAME_IS_TAKEN if available.name in COMMANDS else "a command is loaded when it is given"
    return "no setting names it, and none may: it is provided twice" if provided > 1 else "no setting names it"


def _columns(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    found = list(rows)
    widths = [max(map(len, column)) for column in zip(*found, strict=True)]
    for row in found:
        yield "  " + "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
    if not found:
        yield "  none"
