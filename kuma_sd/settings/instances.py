"""The instances that settings name: control planes, outputs and transforms, from lists of ``[NAME=]VALUE``."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from kuma_sd.core.errors import ConfigError

NAME = re.compile(r"[a-z][a-z0-9_-]*")
RESERVED = ("kuma-sd", "web")

_KINDS = {"source": "a control plane", "output": "an output", "transform": "a transform"}


class Text(NamedTuple):
    """The text of an option as somebody wrote it, and where."""

    value: str
    origin: str


class Instance(NamedTuple):
    """A plugin in use.

    Args:
        kind: source, output or transform.
        name: its name, and its section's; empty for the only control plane.
        value: the plugin's name; of a source the address.
        origin: where it is named.
    """

    kind: str
    name: str
    value: str
    origin: str

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
    found = [_control_plane(item, text.origin) for item in text.value.split()]
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


def _control_plane(item: str, origin: str) -> Instance:
    before, separator, rest = item.partition("=")
    named = bool(separator) and ":" not in before
    name, address = (before, rest) if named else ("", item)
    if named:
        _check_name(name, item, origin)
    scheme, separator, rest = address.partition(":")
    # What is before a port is a host.
    if not separator or rest[:1].isdigit():
        raise ConfigError(
            f"{origin}: '{item}' has no scheme; did you mean '{f'{name}=' if named else ''}grpc://{address}'?"
        )
    if not rest.strip("/") or not re.fullmatch(r"[a-z][a-z0-9+.-]*", scheme):
        raise ConfigError(f"{origin}: '{item}' is not [NAME=]URL, like grpc://localhost:5676")
    return Instance("source", name, address, origin)


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
    _check_name(name, item, origin)
    if separator and not value:
        raise ConfigError(f"{origin}: '{item}' names no {kind} after '='")
    return Instance(kind, name, value or name, origin)


def _check_name(name: str, item: str, origin: str) -> None:
    if not NAME.fullmatch(name):
        raise ConfigError(
            f"{origin}: '{item}' has no valid name; one starts with a small letter, followed by small letters, digits, "
            "'-' and '_'"
        )
    if name in RESERVED:
        raise ConfigError(f"{origin}: '{item}' takes the name '{name}', which kuma-sd keeps for itself")


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
