"""The transform ``filter``: keeps targets that label matchers match, in the syntax of Prometheus."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import attrgetter

from kuma_sd import MATCHERS, REQUIRED, Labels, Matchers, Target, TransformPlugin, hookimpl, option

_FACTS: dict[str, Callable[[Target], str]] = {
    "mesh": attrgetter("mesh"),
    "service": attrgetter("service"),
    "dataplane": attrgetter("name"),
    "control_plane": attrgetter("control_plane"),
}


@dataclass(frozen=True)
class FilterOptions:
    """The options of ``filter``: which targets to keep."""

    match: Matchers = option(
        REQUIRED,
        MATCHERS,
        'Label matchers that must all match, like mesh="payments", env=~"prod|stage". If a target has no label mesh, '
        "service, dataplane or control_plane, what the control plane sent is used.",
    )


class Filter:
    """Keeps a label set as it is, or drops it.

    Args:
        options: what to keep.

    Its attribute ``reads`` holds the names of the labels that decide what it does.
    """

    def __init__(self, options: FilterOptions) -> None:
        self.reads = frozenset(matcher.name for matcher in options.match)
        self._matchers = options.match

    def __call__(self, labels: Labels, target: Target) -> Iterable[Labels]:
        """Return the labels if all matchers hold, else nothing."""
        return (labels,) if self._matchers.matches(_lookup(labels, target)) else ()

    def explain(self, labels: Labels, target: Target) -> Iterator[tuple[str, Labels | None]]:
        """Yield each matcher with the labels, up to one that does not hold, after which there are none."""
        lookup = _lookup(labels, target)
        for matcher in self._matchers:
            holds = matcher.matches(lookup(matcher.name))
            yield str(matcher), labels if holds else None
            if not holds:
                return


def _lookup(labels: Labels, target: Target) -> Callable[[str], str]:
    def lookup(name: str) -> str:
        return labels.get(name) or (_FACTS[name](target) if name in _FACTS else "")

    return lookup


@hookimpl
def kuma_sd_transform_plugin() -> TransformPlugin:
    """Describe filter."""
    return TransformPlugin(open=lambda options, _context: Filter(options), options=FilterOptions)
