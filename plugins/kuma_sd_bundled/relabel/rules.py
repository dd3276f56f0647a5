"""Parse rules, and check them as Prometheus does with its legacy validation of names."""

import dataclasses
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

from kuma_sd import LABEL_NAME, Pattern, parse_pattern
from kuma_sd_bundled.relabel.document import Place, read_rules

ACTIONS = (
    *("replace", "keep", "drop", "keepequal", "dropequal", "hashmod"),
    *("labelmap", "labeldrop", "labelkeep", "lowercase", "uppercase"),
)

_WITH_TARGET = {"replace", "hashmod", "lowercase", "uppercase", "keepequal", "dropequal"}
_WITHOUT_REPLACEMENT = {"lowercase", "uppercase", "keepequal", "dropequal"}
_NOTHING_BUT = {
    "keepequal": ("source_labels", "target_label"),
    "dropequal": ("source_labels", "target_label"),
    "labeldrop": ("regex",),
    "labelkeep": ("regex",),
}

# Prometheus's relabelTargetLegacy, written so that a wrong name does not take exponential time.
_NAME_TEMPLATE = re.compile(r"(?:[a-zA-Z_]|\$\w|\$\{\w+\})(?:\w|\$\w|\$\{\w+\})*", re.ASCII)


@dataclass(frozen=True)
class Rule:
    """One rule. Its fields are those of Prometheus's ``relabel_config``, with its defaults.

    Args:
        number: its number in the list, from 1.
        pattern: the parsed regular expression.
        regex: None if not set; some actions must not have one, not even the default.
        source_labels: None if not set; some actions must not have them, not even the default.
    """

    number: int
    pattern: Pattern
    action: str = "replace"
    source_labels: tuple[str, ...] | None = None
    separator: str = ";"
    regex: str | None = None
    modulus: int = 0
    target_label: str = ""
    replacement: str = "$1"

    def __str__(self) -> str:
        fields = ", ".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in self.settings())
        return f"rule {self.number}: {self.action}" + (fields and f", {fields}")

    @property
    def reads(self) -> tuple[str, ...]:
        """The labels that the rule reads; for labelmap its pattern, which matches their names."""
        return (self.regex or "",) if self.action == "labelmap" else self.source_labels or ()

    def settings(self) -> Iterator[tuple[str, object]]:
        """Yield the fields that differ from their defaults, without the action."""
        for field in dataclasses.fields(self)[3:]:
            if getattr(self, field.name) != field.default:
                yield field.name, getattr(self, field.name)


def parse_rules(content: bytes, file: str) -> list[Rule]:
    """Parse rules.

    Args:
        content: a list in YAML.
        file: the name of its file, for errors; empty for the settings.

    Raises:
        ConfigError: Prometheus would refuse them; the message names the rule and the field.
    """
    rules = []
    for place, fields in read_rules(content, file):
        fields["action"] = fields.get("action", "replace").lower()
        try:
            pattern = parse_pattern(fields.get("regex", "(.*)"))
        except ValueError as error:
            raise place.error("regex", str(error)) from error
        rule = Rule(place.number, pattern, **fields)
        _check(rule, place)
        rules.append(rule)
    return rules


def _check(rule: Rule, place: Place) -> None:
    action = rule.action
    if action not in ACTIONS:
        raise place.error("action", f"there is no action {action!r}; there are {', '.join(ACTIONS)}")
    if action == "hashmod" and not rule.modulus:
        raise place.error("modulus", "hashmod needs one that is not 0")
    if action in _WITH_TARGET and not rule.target_label:
        raise place.error("target_label", f"{action} needs one")
    if action in _WITH_TARGET and not _is_target(rule):
        raise place.error("target_label", f"{rule.target_label!r} is no label name")
    if action in _WITHOUT_REPLACEMENT and rule.replacement != "$1":
        raise place.error("replacement", f"{action} takes none")
    if action == "labelmap" and not _NAME_TEMPLATE.fullmatch(rule.replacement):
        raise place.error("replacement", f"{rule.replacement!r} makes no label name")
    if action in _NOTHING_BUT:
        allowed = _NOTHING_BUT[action]
        for field, _ in rule.settings():
            if field not in allowed:
                raise place.error(field, f"{action} takes nothing but {' and '.join(allowed)}")


def _is_target(rule: Rule) -> bool:
    template = rule.action == "replace" and "$" in rule.target_label
    return bool((_NAME_TEMPLATE if template else LABEL_NAME).fullmatch(rule.target_label))
