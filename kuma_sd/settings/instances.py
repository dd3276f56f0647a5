"""The instances that settings name: control planes, outputs and transforms, from lists of ``[NAME=]VALUE``."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from kuma_sd.core.errors import ConfigError
from kuma_sd.core.url import Url, parse_url

NAME = re.compile(r"[a-z][a-z0-9_-]*")
RESERVED = ("kuma-sd", "web")

# An address that can hold no secret, so that messages may quote it: hosts with ports, and a path.
_HOST = r"(?:\[[0-9a-fA-F:.]+\]|[\w.-]+)(?::[0-9]{1,5})?"
_PLAIN = re.compile(rf"(?:[\w-]*=)?(?:[a-zA-Z0-9+.-]+:?(?://)?)?(?:{_HOST}(?:,{_HOST})*)?(?:/[\w./-]*)?")

_KINDS = {"source": "a control plane", "output": "an output", "transform": "a transform"}


class Text(NamedTuple):
    """The text of an option as somebody wrote it, and where."""

    value: str
    origin: str


class NamedUrl(NamedTuple):
    """An item of ``cp-address``: the control plane's name, which may be empty, and its address."""

    name: str
    url: Url

    def __str__(self) -> str:
        return f"{self.name}={self.url}" if self.name else str(self.url)


class Instance(NamedTuple):
    """A plugin in use.

    Args:
        kind: source, output or transform.
        name: its name, and its section's; empty for the only control plane.
        value: the plugin's name; of a source its address, as it may be shown.
        origin: where it is named.
        url: the address of a source.
    """

    kind: str
    name: str
    value: str
    origin: str
    url: Url | None = None

    @property
    def plugin(self) -> str:
        """The plugin's name; of a source the URL scheme of the address."""
        return self.value.partition(":")[0] if self.kind == "source" else self.value


class Instances(NamedTuple):
    """All instances.

    Args:
        control_planes: in the order of the settings.
        outputs: in the order of the settings.
        transforms: in the order they are first named, whether used or not.
        chains: the names of the transforms that stand in a section, by section.
    """

    control_planes: tuple[Instance, ...]
    outputs: tuple[Instance, ...]
    transforms: tuple[Instance, ...]
    chains: Mapping[str, tuple[str, ...]]

    @property
    def names(self) -> list[str]:
        """The names of all that have one."""
        return [instance.name for instance in (*self.control_planes, *self.outputs, *self.transforms) if instance.name]


def find_instances(addresses: Text, outputs: Text, chains: Mapping[str, Text]) -> Instances:
    """Read the lists that name instances.

    Args:
        addresses: the control planes.
        outputs: the outputs.
        chains: the transforms, by the section they are listed in.

    Raises:
        ConfigError: an item is wrong, or a name is used twice.
    """
    names = {section: _names_in(chain) for section, chain in chains.items()}
    transforms = _find_transforms(chains.values())
    found = Instances(find_control_planes(addresses), find_outputs(outputs), transforms, names)
    _check_unique((*found.control_planes, *found.outputs, *found.transforms))
    return found


def find_outputs(text: Text) -> tuple[Instance, ...]:
    """Read the list of outputs.

    Raises:
        ConfigError: an item is wrong, a name is used twice, or there is none.
    """
    if not text.value.split():
        raise ConfigError(f"{text.origin}: output is empty; name at least one, like file_sd")
    found = tuple(_plugin_instance("output", item, text.origin) for item in text.value.split())
    _check_unique(found)
    return found


def find_control_planes(text: Text) -> tuple[Instance, ...]:
    """Read the list of control planes.

    Raises:
        ConfigError: an item is wrong, there is none, or several have no name.
    """
    items = text.value.split()
    # A password with a blank in it is in two items, neither of which looks like it.
    is_plain = all(map(_PLAIN.fullmatch, items))
    found = [_control_plane(item, number, text.origin, is_plain=is_plain) for number, item in enumerate(items, 1)]
    if not found:
        raise ConfigError(f"{text.origin}: cp-address is empty; name at least one, like grpc://localhost:5676")
    unnamed = [instance.value for instance in found if not instance.name]
    if len(found) > len(unnamed) == 1:
        raise ConfigError(
            f"{text.origin}: '{unnamed[0]}' has no name; several control planes need names, like north={unnamed[0]}"
        )
    if len(unnamed) > 1:
        raise ConfigError(
            f"{text.origin}: several control planes need names, like east={unnamed[0]} west={unnamed[1]}; hosts after "
            "a comma are replicas of one"
        )
    return tuple(found)


def parse_named_url(text: str) -> NamedUrl:
    """Read an item of ``cp-address``.

    Raises:
        ValueError: it is none; the reason follows the item in a sentence, and quotes nothing of it.
    """
    before, separator, rest = text.partition("=")
    is_named = bool(separator) and ":" not in before
    name, address = (before, rest) if is_named else ("", text)
    if is_named:
        _check_name(name)
    scheme, separator, rest = address.partition(":")
    # What is before a port is a host.
    if not separator or rest[:1].isdigit():
        raise _NoSchemeError
    if not rest.strip("/") or not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme):
        raise ValueError("is not [NAME=]URL, like grpc://localhost:5676")
    return NamedUrl(name, parse_url(address))


class _NoSchemeError(ValueError):
    def __init__(self) -> None:
        super().__init__("has no scheme; it is written like grpc://localhost:5676")


def _control_plane(item: str, number: int, origin: str, *, is_plain: bool) -> Instance:
    what = f"'{item}'" if is_plain else f"item {number} of cp-address"
    try:
        named = parse_named_url(item)
    except _NoSchemeError as error:
        name, equals, address = item.rpartition("=")
        meant = f"has no scheme; did you mean '{name}{equals}grpc://{address}'?" if is_plain else error
        raise ConfigError(f"{origin}: {what} {meant}") from None
    except ValueError as error:
        raise ConfigError(f"{origin}: {what} {error}") from None
    return Instance("source", named.name, str(named.url), origin, named.url)


def _names_in(chain: Text) -> tuple[str, ...]:
    names = tuple(map(_name_of, chain.value.split()))
    twice = [name for place, name in enumerate(names) if name in names[:place]]
    if twice:
        raise ConfigError(f"{chain.origin}: '{twice[0]}' stands in this list twice; for two of a kind use NAME=VALUE")
    return names


def _find_transforms(chains: Iterable[Text]) -> tuple[Instance, ...]:
    """Make instances of all items, whatever list declares them; an item without a name may mean one that has it."""
    items = [(item, chain.origin) for chain in chains for item in chain.value.split()]
    declared = {_name_of(item) for item, _ in items if "=" in item}
    made = [_plugin_instance("transform", *text) for text in items if "=" in text[0] or text[0] not in declared]
    first: dict[str, Instance] = {}
    for instance in made:
        other = first.setdefault(instance.name, instance)
        # Lists may name the same instance again: one section configures both.
        if other.value != instance.value:
            raise ConfigError(
                f"{instance.origin}: '{instance.name}' is a transform '{instance.value}' here "
                f"and a transform '{other.value}' elsewhere ({other.origin}); give one another name"
            )
    return tuple(first.values())


def _name_of(item: str) -> str:
    return item.partition("=")[0]


def _plugin_instance(kind: str, item: str, origin: str) -> Instance:
    name, separator, value = item.partition("=")
    try:
        _check_name(name)
    except ValueError as error:
        raise ConfigError(f"{origin}: '{item}' {error}") from error
    if separator and not value:
        raise ConfigError(f"{origin}: '{item}' names no {kind} after '='")
    return Instance(kind, name, value or name, origin)


def _check_name(name: str) -> None:
    if not NAME.fullmatch(name):
        raise ValueError(
            "has no valid name; one starts with a small letter, followed by small letters, digits, '-' and '_'"
        )
    if name in RESERVED:
        raise ValueError(f"takes the name '{name}', which kuma-sd keeps for itself")


def _check_unique(instances: Sequence[Instance]) -> None:
    taken: dict[str, Instance] = {}
    for instance in instances:
        if not instance.name:
            continue
        other = taken.setdefault(instance.name, instance)
        if other is not instance:
            raise ConfigError(
                f"{instance.origin}: '{instance.name}' is the name of {_KINDS[other.kind]} already ({other.origin}); "
                "give one another name, as in NAME=VALUE"
            )
