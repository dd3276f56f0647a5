"""Parse the instances in settings: control planes, outputs and transforms, from lists of ``[NAME=]VALUE``."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from kuma_sd.core.errors import ConfigError, Mistakes
from kuma_sd.core.url import Url, parse_url

NAME = re.compile(r"[a-z][a-z0-9_-]*")
RESERVED = ("kuma-sd", "web")

DEFAULT = "default"
"""The origin of a value that is not set."""

# An address without possible secrets (hosts with ports, and a path), which messages may quote.
_HOST = r"(?:\[[0-9a-fA-F:.]+\]|[\w.-]+)(?::[0-9]{1,5})?"
_PLAIN = re.compile(rf"(?:[\w-]*=)?(?:[a-zA-Z0-9+.-]+:?(?://)?)?(?:{_HOST}(?:,{_HOST})*)?(?:/[\w./-]*)?")

_KINDS = {"source": "a control plane", "output": "an output", "transform": "a transform"}


class Text(NamedTuple):
    """The text of an option as written, and its origin."""

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
        value: the plugin's name; for a source its address without secrets.
        origin: where it is set.
        url: the address of a source.
    """

    kind: str
    name: str
    value: str
    origin: str
    url: Url | None = None

    @property
    def plugin(self) -> str:
        """The plugin's name; for a source the URL scheme of the address."""
        return self.value.partition(":")[0] if self.kind == "source" else self.value


class Instances(NamedTuple):
    """All instances.

    Args:
        control_planes: in the order of the settings.
        outputs: in the order of the settings.
        transforms: in the order of their first mention, used or not.
        chains: the names of the listed transforms, by section.
    """

    control_planes: tuple[Instance, ...]
    outputs: tuple[Instance, ...]
    transforms: tuple[Instance, ...]
    chains: Mapping[str, tuple[str, ...]]

    @property
    def names(self) -> list[str]:
        """The names of all named instances."""
        return [instance.name for instance in (*self.control_planes, *self.outputs, *self.transforms) if instance.name]


def find_instances(addresses: Text, outputs: Text, chains: Mapping[str, Text], mistakes: Mistakes) -> Instances:
    """Parse the lists that name instances; a list with a mistake counts as empty.

    Args:
        addresses: the control planes.
        outputs: the outputs.
        chains: the transforms, by the section they are listed in.
        mistakes: collects invalid items.

    Raises:
        ConfigError: a name is used twice.
    """
    names = {section: mistakes.attempt(_names_in, chain) or () for section, chain in chains.items()}
    found = Instances(
        mistakes.attempt(find_control_planes, addresses) or (),
        mistakes.attempt(find_outputs, outputs) or (),
        mistakes.attempt(_find_transforms, chains.values()) or (),
        names,
    )
    _check_unique((*found.control_planes, *found.outputs, *found.transforms))
    return found


def find_outputs(text: Text) -> tuple[Instance, ...]:
    """Parse the list of outputs.

    Raises:
        ConfigError: an item is invalid, a name is used twice, or the list is empty.
    """
    if not text.value.split():
        raise ConfigError(f"{text.origin}: output is empty; name at least one, like file_sd")
    found = tuple(_plugin_instance("output", item, text.origin) for item in text.value.split())
    _check_unique(found)
    return found


def find_control_planes(text: Text) -> tuple[Instance, ...]:
    """Parse the list of control planes.

    Raises:
        ConfigError: an item is invalid, the list is empty, or several have no name.
    """
    items = text.value.split()
    # A password with a space is split into two items, neither of which is recognisable as secret.
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
    """Parse an item of ``cp-address``.

    Raises:
        ValueError: it is invalid; the message continues a sentence that begins with the item, and does not quote it.
    """
    before, separator, rest = text.partition("=")
    is_named = bool(separator) and ":" not in before
    name, address = (before, rest) if is_named else ("", text)
    if is_named:
        _check_name(name)
    scheme, separator, rest = address.partition(":")
    # Text before a port is a host.
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
        raise ConfigError(
            f"{chain.origin}: '{twice[0]}' is in this list twice; for two instances of one plugin use NAME=VALUE"
        )
    return names


def _find_transforms(chains: Iterable[Text]) -> tuple[Instance, ...]:
    """Create the instances of all lists; an item without a name may refer to a named instance."""
    items = [(item, chain.origin) for chain in chains for item in chain.value.split()]
    declared = {_name_of(item) for item, _ in items if "=" in item}
    made = [_plugin_instance("transform", *text) for text in items if "=" in text[0] or text[0] not in declared]
    first: dict[str, Instance] = {}
    for instance in made:
        other = first.setdefault(instance.name, instance)
        # Several lists may name the same instance; one section configures it.
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
