"""Render targets without making label sets, by templates for targets whose labels have the same names.

Such targets differ only in their values. A template holds the rest of the line of JSON: valid names, in order. It is
made by rendering a target with marks as values, so the line equals that of the label profile and the renderer.
"""

import re
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import NamedTuple

import msgspec

from kuma_sd.core.errors import TransformError
from kuma_sd.core.model import Key, Target
from kuma_sd.core.target_group import GroupKey, TargetGroup
from kuma_sd.core.yaml_escapes import as_yaml
from kuma_sd.prometheus.label_profiles import LabelProfile
from kuma_sd.prometheus.scrapable import INTERVAL, TIMEOUT, check_address

MOST_SHAPES = 1000
"""Maximum number of cached sets of label names, since these are external input."""

MOST_VALUES = 10_000
"""Maximum number of cached label values, since these are external input."""

LONGEST_VALUE = 200
"""Maximum length of a cached value, in characters."""

_MARK = re.compile('"\ue000(\\d+)\ue001"'.encode())
"""A value of a marked target in JSON; no valid name has these characters."""

_Shape = tuple[str | None, ...]
"""The names of a target's labels in their order, which is the same in all (Go's deterministic protobuf sorts them), and
None if the target has a control plane."""

_encode = msgspec.json.Encoder().encode

_ANY_KEY = GroupKey(Key("", "", "", 0), 0)


class _Values(dict[str, bytes]):
    """Values in JSON, by value."""

    def __missing__(self, value: str) -> bytes:
        # The concatenation refuses numbers, which JSON would accept.
        written = _encode("" + value)
        if len(value) <= LONGEST_VALUE:
            if len(self) >= MOST_VALUES:
                self.clear()
            self[value] = written
        return written


class _Template(NamedTuple):
    """A line with places for values.

    Args:
        line: the line, with ``%b`` for each value.
        pick: selects these values from the facts and labels of a target in JSON.
        repaired: the number of names made valid.
        collided: the number of labels lost because another has the same valid name.
    """

    line: bytes
    pick: Callable[[Sequence[bytes]], tuple[bytes, ...]]
    repaired: int
    collided: int


class LineTemplates:
    """Renders targets to the same bytes as a label profile and `TargetGroup.render`, in a third of the time.

    Args:
        profile: the label profile.
    """

    def __init__(self, profile: LabelProfile) -> None:
        self._profile = profile
        # None where the line has to be made from the label set.
        self._templates: dict[_Shape, _Template | None] = {}
        self._seen: set[_Shape] = set()
        self._values = _Values()

    def render(self, target: Target) -> bytes | None:
        """Return the line of a target; None if it has to be made from the label set.

        Raises:
            TransformError: Prometheus would refuse the target.
        """
        shape = (*target.labels, None) if target.control_plane else (*target.labels,)
        template = self._templates.get(shape) or self._template_of(shape, target)
        if template is None:
            return None
        name, address, shared = target.name, target.address, _shared_values(target)
        # An empty value means that the label is absent.
        if not (name and address and all(shared)):
            return None
        try:
            # These two are hardly ever those of another target, so they are not remembered.
            own = _encode("" + name), _encode("" + address)
            written = *own, *map(self._values.__getitem__, shared)
        except (TypeError, UnicodeEncodeError):
            # A value is no text that can be written; the renderer says which.
            return None
        line = as_yaml(template.line % template.pick(written))
        check_address(target.address, target.scheme)
        self._profile.repaired += template.repaired
        self._profile.collided += template.collided
        return line

    def _template_of(self, shape: _Shape, target: Target) -> _Template | None:
        if shape in self._templates:
            return self._templates[shape]
        if shape not in self._seen:
            # Names that only one target has: a template would cost more than it saves.
            _bound(self._seen)
            self._seen.add(shape)
            return None
        _bound(self._templates)
        template = self._templates[shape] = self._made(target)
        return template

    def _made(self, target: Target) -> _Template | None:
        # A profile of its own, since that of the chain counts the repairs of targets.
        profile = LabelProfile(self._profile.name)
        labels = profile(_marked(target))
        if INTERVAL in labels or TIMEOUT in labels:
            # Whether Prometheus takes these depends on their values.
            return None
        try:
            pieces = _MARK.split(TargetGroup.render(_ANY_KEY, labels).json)
        except TransformError:
            return None
        line = b"%b".join(piece.replace(b"%", b"%%") for piece in pieces[::2])
        return _Template(line, itemgetter(*map(int, pieces[1::2])), profile.repaired, profile.collided)


def _shared_values(target: Target) -> tuple[str, ...]:
    service, job = target.service, target.job or target.service
    facts = target.mesh, service, job, target.scheme, target.metrics_path, *target.labels.values()
    return (*facts, target.control_plane) if target.control_plane else facts


def _marked(target: Target) -> Target:
    """Return a target with the same names, whose values are the places that they have in `LineTemplates.render`."""
    name, address, mesh, service, job, scheme, path, *labels, last = (
        f"\ue000{place}\ue001" for place in range(8 + len(target.labels))
    )
    marked = dict(zip(target.labels, labels, strict=True))
    return Target(target.control_plane and last, mesh, service, name, address, scheme, path, marked, job)


def _bound(remembered: "set[_Shape] | dict[_Shape, _Template | None]") -> None:
    if len(remembered) >= MOST_SHAPES:
        remembered.clear()
