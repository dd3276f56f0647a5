"""Find members of a plugin's object that the daemon would overlook, or could not call: misspelt ones, for example."""

import inspect
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any

SIMILAR = 0.75
"""Minimum similarity, from 0 to 1, of a misspelt name and the one that was meant."""


def faults(instance: object, required: type, optional: Sequence[type]) -> Iterator[str]:
    """Yield a sentence for each fault.

    Args:
        instance: the object that a plugin opened.
        required: the interface that it must have.
        optional: the interfaces that it may have.
    """
    known = {name: interface for interface in (required, *optional) for name in members_of(interface)}
    what = type(instance).__name__
    offered = {name for name in dir(instance) if not name.startswith("_")}
    inherited = {name for name in offered & known.keys() if _is_inherited(instance, name, known[name])}
    for name in sorted(offered - known.keys()):
        meant = [other for other in sorted(known.keys() - offered) if _similarity(name, other) >= SIMILAR]
        if callable(getattr(instance, name)):
            # A misspelt method may be meant to replace an empty one of the base class.
            meant += [other for other in sorted(inherited) if _is_slip(name, other)]
        if meant:
            yield f"{what}.{name} is never used; did you mean {meant[0]} ({known[meant[0]].__name__})?"
    for name in sorted(members_of(required) - offered):
        yield f"{what} has no {name}, which every {required.__name__} needs"
    for name in sorted(offered & known.keys()):
        yield from _uncallable(what, name, getattr(instance, name), getattr(known[name], name))


def members_of(interface: type) -> set[str]:
    """Return the names of the public members that an interface declares."""
    return {name for name in vars(interface) if not name.startswith("_")}


def _is_inherited(instance: object, name: str, interface: type) -> bool:
    return getattr(type(instance), name, None) is getattr(interface, name)


def _uncallable(what: str, name: str, member: Any, declared: Any) -> Iterator[str]:  # noqa: ANN401 (any member)
    if isinstance(declared, property):
        return
    parameters = list(inspect.signature(declared).parameters.values())[1:]
    keywords = [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
    others = [parameter.name for parameter in parameters if parameter.name not in keywords]
    try:
        inspect.signature(member).bind(*others, **dict.fromkeys(keywords))
    except TypeError:
        arguments = ", ".join([*others, *(f"{keyword}=…" for keyword in keywords)])
        yield f"{what}.{name} cannot be called as {name}({arguments})"


def _is_slip(name: str, other: str) -> bool:
    """Tell whether letters are swapped, or one is missing or too many; `restart` and `state` are not `start`."""
    here, there = Counter(name), Counter(other)
    return ((here - there) + (there - here)).total() <= 1


def _similarity(name: str, other: str) -> float:
    return SequenceMatcher(None, name, other).ratio()
