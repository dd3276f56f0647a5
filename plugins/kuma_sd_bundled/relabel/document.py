"""Read rules from YAML safely and within limits, down to the texts, numbers and names in their fields.

Nodes are read, not the values that a YAML library makes of them: Prometheus takes ``regex: yes`` and ``regex: 1.50``
literally.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from kuma_sd import LABEL_NAME, ConfigError, refuse_deep_nesting

MAX_SIZE = 1 << 20
MAX_RULES = 10_000
MAX_SOURCE_LABELS = 1_000

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_NULL = "tag:yaml.org,2002:null"
_BINARY = "tag:yaml.org,2002:binary"
_NUMBER = re.compile(r"\+?[0-9][0-9a-fA-FxobXOB_]*", re.ASCII)


@dataclass(frozen=True)
class Place:
    """The position of a rule.

    Args:
        file: the file; empty if the rules are in the settings.
        line: the line on which it begins, from 1.
        number: its number in the list, from 1.
    """

    file: str
    line: int
    number: int

    def error(self, field: str, reason: str) -> ConfigError:
        """Create an error about one of the rule's fields."""
        where = f"{self.file}:{self.line}: " if self.file else ""
        return ConfigError(f"{where}rule {self.number}, {field}: {reason}")


def read_rules(content: bytes, file: str) -> Iterator[tuple[Place, dict[str, Any]]]:
    """Yield the rules in a document: the position of each, and the values of the fields that it sets.

    Args:
        content: the document.
        file: the name of its file, for errors; empty for the settings.

    Raises:
        ConfigError: it is not a list of rules.
    """
    document = _compose(content, file)
    if not isinstance(document, yaml.SequenceNode):
        raise _error(file, "must be a list of rules, as under relabel_configs in Prometheus; [] for none")
    if len(document.value) > MAX_RULES:
        raise _error(file, f"has more than {MAX_RULES} rules")
    for number, rule in enumerate(document.value, start=1):
        place = Place(file, rule.start_mark.line + 1, number)
        yield place, dict(_fields(rule, place))


def _compose(content: bytes, file: str) -> yaml.Node | None:
    if len(content) > MAX_SIZE:
        raise _error(file, f"is longer than {MAX_SIZE >> 20} MiB")
    try:
        refuse_deep_nesting(content, _LOADER)
        return yaml.compose(content, Loader=_LOADER)
    except ValueError as error:
        raise _error(file, f"must be a list of rules; {error}") from error
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise _error(file, f"is no YAML: {line}{error.problem}") from error
    except yaml.YAMLError as error:
        raise _error(file, f"is no YAML: {' '.join(str(error).split())}") from error


def _fields(rule: yaml.Node, place: Place) -> Iterator[tuple[str, Any]]:
    if not isinstance(rule, yaml.MappingNode):
        raise place.error("action", "a rule consists of fields, like action and regex")
    seen = set()
    for key, value in rule.value:
        name = key.value if isinstance(key, yaml.ScalarNode) else "?"
        if name not in _READERS:
            raise place.error(name, f"there is no such field; there are {', '.join(_READERS)}")
        if name in seen:
            raise place.error(name, "is there twice")
        seen.add(name)
        try:
            yield name, _READERS[name](value)
        except ValueError as error:
            raise place.error(name, str(error)) from error


def _text(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode) or node.tag == _BINARY:
        raise ValueError("must be a text")
    return "" if node.tag == _NULL else str(node.value)


def _names(node: yaml.Node) -> tuple[str, ...] | None:
    if node.tag == _NULL:
        return None
    if not isinstance(node, yaml.SequenceNode):
        raise ValueError("must be a list of label names, like [mesh, service]")  # noqa: TRY004 (a wrong value in a file)
    if len(node.value) > MAX_SOURCE_LABELS:
        raise ValueError(f"has more than {MAX_SOURCE_LABELS} names")
    names = tuple(map(_text, node.value))
    for name in names:
        if not LABEL_NAME.fullmatch(name):
            raise ValueError(f"{name!r} is no label name; in names that Kuma gives, other characters have become _")
    return names


def _number(node: yaml.Node) -> int:
    text = _text(node)
    try:
        number = int(text.replace("_", "") or "0", 0) if _NUMBER.fullmatch(text or "0") else -1
    except ValueError:
        number = -1
    if getattr(node, "style", None) or not 0 <= number < 1 << 64:
        raise ValueError(f"{text!r} is no whole number from 0 to 2^64-1")
    return number


def _error(file: str, reason: str) -> ConfigError:
    return ConfigError(f"{file or 'rules'}: {reason}")


_READERS: dict[str, Callable[[yaml.Node], Any]] = {
    "action": _text,
    "source_labels": _names,
    "separator": _text,
    "regex": _text,
    "modulus": _number,
    "target_label": _text,
    "replacement": _text,
}
