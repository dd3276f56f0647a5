"""Compile rules: each becomes a function that changes a label set or drops the target."""

from collections.abc import Callable

from kuma_sd import LABEL_NAME, PATTERN_CACHE_SIZE, Labels, hashmod, remember_short
from kuma_sd_bundled.relabel import letter_case
from kuma_sd_bundled.relabel.rules import Rule
from kuma_sd_bundled.relabel.templates import Template

Step = Callable[[Labels], bool]
"""Changes labels in place, none of which is empty before or after; returns False when the target is dropped."""

_remember = remember_short(PATTERN_CACHE_SIZE)


class OrderMattersError(Exception):
    """A rule gives several labels one name, and which of them wins depends on the order of `LabelsInOrder`."""


class LabelsInOrder(Labels):
    """Labels in the order in which Prometheus iterates over them: by name, then those that rules have set.

    Keeping the order costs as much as applying five rules, so it is only kept where it matters.
    """

    def __init__(self, labels: Labels) -> None:
        super().__init__(sorted(labels.items()))
        self._set: set[str] = set()

    def __setitem__(self, name: str, value: str) -> None:
        if name not in self._set:
            self._set.add(name)
            self.pop(name, None)
        super().__setitem__(name, value)


def step(rule: Rule) -> Step:
    """Return the function that applies a rule."""
    return _ACTIONS[rule.action](rule)


def _source(rule: Rule) -> Callable[[Labels], str]:
    """Return a function that joins the values of the source labels."""
    names, separator = rule.source_labels or (), rule.separator
    if len(names) == 1:
        (name,) = names
        return lambda labels: labels.get(name, "")
    return lambda labels: separator.join([labels.get(name, "") for name in names])


def _set(labels: Labels, name: str, value: str) -> None:
    if value:
        labels[name] = value
    else:
        labels.pop(name, None)


def _replace(rule: Rule) -> Step:
    source, pattern = _source(rule), rule.pattern
    target, replacement = Template(rule.target_label, pattern), Template(rule.replacement, pattern)

    @_remember
    def outcome(value: str) -> tuple[str, str] | None:
        found = pattern.find(value)
        if found is None:
            return None
        name = target.expand(found)
        return (name, replacement.expand(found)) if target.constant or LABEL_NAME.fullmatch(name) else None

    def replace(labels: Labels) -> bool:
        if result := outcome(source(labels)):
            _set(labels, *result)
        return True

    return replace


def _keep(rule: Rule) -> Step:
    source, matches = _source(rule), rule.pattern.matches
    return lambda labels: matches(source(labels))


def _drop(rule: Rule) -> Step:
    source, matches = _source(rule), rule.pattern.matches
    return lambda labels: not matches(source(labels))


def _keep_equal(rule: Rule) -> Step:
    source, target = _source(rule), rule.target_label
    return lambda labels: source(labels) == labels.get(target, "")


def _drop_equal(rule: Rule) -> Step:
    source, target = _source(rule), rule.target_label
    return lambda labels: source(labels) != labels.get(target, "")


def _setting(change: Callable[[str], str]) -> Callable[[Rule], Step]:
    """Return an action that sets the target label to a function of the joined values."""

    def action(rule: Rule) -> Step:
        source, target = _source(rule), rule.target_label

        def set_target(labels: Labels) -> bool:
            _set(labels, target, change(source(labels)))
            return True

        return set_target

    return action


def _hashmod(rule: Rule) -> Step:
    return _setting(lambda value: str(hashmod(value, rule.modulus)))(rule)


def _label_map(rule: Rule) -> Step:
    pattern, replacement = rule.pattern, Template(rule.replacement, rule.pattern)

    @_remember
    def copies(names: tuple[str, ...]) -> tuple[list[tuple[str, str]], bool]:
        found = [(name, pattern.find(name)) for name in names]
        # The new name is not checked, as in Prometheus.
        pairs = [(name, replacement.expand(groups)) for name, groups in found if groups is not None]
        return pairs, len({copy for _, copy in pairs}) < len(pairs)

    def map_labels(labels: Labels) -> bool:
        pairs, meet = copies(tuple(labels))
        if meet and not isinstance(labels, LabelsInOrder):
            raise OrderMattersError
        for copy, value in [(copy, labels[name]) for name, copy in pairs]:
            labels[copy] = value
        return True

    return map_labels


def _dropping(surplus: Callable[[str], bool]) -> Step:
    """Return a step that drops all labels whose names a function selects."""

    @_remember
    def dropped(names: tuple[str, ...]) -> list[str]:
        return [name for name in names if surplus(name)]

    def drop_labels(labels: Labels) -> bool:
        for name in dropped(tuple(labels)):
            del labels[name]
        return True

    return drop_labels


def _label_drop(rule: Rule) -> Step:
    return _dropping(rule.pattern.matches)


def _label_keep(rule: Rule) -> Step:
    return _dropping(lambda name: not rule.pattern.matches(name))


_ACTIONS: dict[str, Callable[[Rule], Step]] = {
    "replace": _replace,
    "keep": _keep,
    "drop": _drop,
    "keepequal": _keep_equal,
    "dropequal": _drop_equal,
    "hashmod": _hashmod,
    "labelmap": _label_map,
    "labeldrop": _label_drop,
    "labelkeep": _label_keep,
    "lowercase": _setting(letter_case.lower),
    "uppercase": _setting(letter_case.upper),
}
