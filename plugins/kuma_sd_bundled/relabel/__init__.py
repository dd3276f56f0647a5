"""The transform ``relabel``: Prometheus's ``relabel_configs``, all of it, with the semantics of Prometheus 3."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kuma_sd import FILE_CONTENT, REQUIRED, FileContent, Labels, OptionType, Target, TransformPlugin, hookimpl, option
from kuma_sd_bundled.relabel.actions import LabelsInOrder, OrderMattersError, step
from kuma_sd_bundled.relabel.rules import parse_rules


def _parse(text: str) -> FileContent:
    inline = "\n" in text or text.startswith(("-", "["))
    return FileContent(None, text.encode()) if inline else FILE_CONTENT.parse(text)


RULES = OptionType("file|YAML", _parse, lambda rules: str(rules) or rules.content.decode())


@dataclass(frozen=True)
class RelabelOptions:
    """The options of ``relabel``."""

    rules: FileContent = option(
        REQUIRED,
        RULES,
        "Rules in YAML, as under relabel_configs in Prometheus: the name of a file, or the list itself.",
    )


class Relabel:
    """Applies rules to a label set.

    Args:
        options: the rules.

    Raises:
        ConfigError: Prometheus would refuse one; the message names the rule and the field.

    Its attribute ``reads`` holds the names of the labels that decide what it does.
    """

    def __init__(self, options: RelabelOptions) -> None:
        rules = parse_rules(options.rules.content, str(options.rules))
        self.reads = frozenset(name for rule in rules for name in rule.reads)
        self._steps = [(str(rule), step(rule)) for rule in rules]

    def __call__(self, labels: Labels, _target: Target) -> Iterable[Labels]:
        """Return the labels after all rules, or nothing when one drops the target."""
        present = _present(labels)
        try:
            return self._apply(dict(present))
        except OrderMattersError:
            return self._apply(LabelsInOrder(present))

    def explain(self, labels: Labels, _target: Target) -> Iterator[tuple[str, Labels | None]]:
        """Yield each rule with the labels after it, up to the one that drops the target, after which there are none."""
        result = LabelsInOrder(_present(labels))
        for rule, apply in self._steps:
            kept = apply(result)
            yield rule, dict(result) if kept else None
            if not kept:
                return

    def _apply(self, labels: Labels) -> Iterable[Labels]:
        for _, apply in self._steps:
            if not apply(labels):
                return ()
        return (labels,)


def _present(labels: Labels) -> Labels:
    return labels if all(labels.values()) else {name: value for name, value in labels.items() if value}


@hookimpl
def kuma_sd_transform_plugin() -> TransformPlugin:
    """Describe relabel."""
    return TransformPlugin(open=lambda options, _context: Relabel(options), options=RelabelOptions)
