"""Check a plugin's hooks when it is loaded, so that a mistake in a name is an error and not silence."""

import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pluggy

from kuma_sd.core.errors import PluginError
from kuma_sd.core.text import did_you_mean
from kuma_sd.plugin import event_hooks, hookspecs

PREFIX = f"{hookspecs.PROJECT}_"


def _specs_in(module: object) -> dict[str, Callable[..., object]]:
    return {name: hook for name, hook in vars(module).items() if name.startswith(PREFIX)}


EVENTS: Mapping[str, Callable[..., object]] = _specs_in(event_hooks)
"""The hooks for events, by name."""

HOOKS: Mapping[str, Callable[..., object]] = {**_specs_in(hookspecs), **EVENTS}
"""All hooks, by name."""


def check_hooks(plugin: object) -> list[str]:
    """Return the names of the hooks that a plugin implements.

    Args:
        plugin: a module, or an object with methods.

    Raises:
        PluginError: a hook does not exist, is not marked as one, takes an argument that does not exist, is a coroutine
            function, or is a wrapper although it cannot be one.
    """
    reader = pluggy.PluginManager(hookspecs.PROJECT)
    found = []
    for name in dir(plugin):
        options = reader.parse_hookimpl_opts(plugin, name)
        function = getattr(plugin, name) if options or name.startswith(PREFIX) else None
        if options:
            _check_plain(name, function)
            found.append(options.get("specname") or name)
            _check_name(found[-1])
            _check_arguments(found[-1], function)
            _check_wrapper(found[-1], options)
        elif inspect.isroutine(function):
            _check_name(name)
            raise PluginError(f"its {name}() is not marked as a hook; write @hookimpl above it")
    return found


def arguments_of(hook: str) -> list[str]:
    """Return the names of the arguments of a hook."""
    return list(inspect.signature(HOOKS[hook]).parameters)


def _check_name(name: str) -> None:
    if name not in HOOKS:
        # Without the prefix, which makes everything similar.
        known = [hook.removeprefix(PREFIX) for hook in HOOKS]
        suggestion = (
            did_you_mean(name.removeprefix(PREFIX), known, f"'{PREFIX}{{}}'") or f"; there are {', '.join(HOOKS)}"
        )
        raise PluginError(f"there is no hook {name!r}{suggestion}")


def _check_arguments(name: str, function: Any) -> None:  # noqa: ANN401 (any callable)
    known = arguments_of(name)
    for argument in _required(function):
        if argument not in known:
            suggestion = did_you_mean(argument, known) or f"; it has {', '.join(known) or 'none'}"
            raise PluginError(f"the hook {name} has no argument {argument!r}{suggestion}")


def _check_plain(name: str, function: object) -> None:
    if inspect.iscoroutinefunction(function) or inspect.isasyncgenfunction(function):
        raise PluginError(f"its {name}() is a coroutine function; hooks are plain functions, write def without async")


def _check_wrapper(name: str, options: Mapping[str, object]) -> None:
    if options.get("hookwrapper") or (options.get("wrapper") and name != "kuma_sd_transform"):
        raise PluginError(f"its {name}() cannot be a wrapper; only kuma_sd_transform can, with wrapper=True")


def _required(function: Callable[..., object]) -> Iterator[str]:
    # pluggy passes what is named without a default, and nothing else.
    for parameter in inspect.signature(function).parameters.values():
        is_named = parameter.kind not in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD)
        if is_named and parameter.default is parameter.empty:
            yield parameter.name
