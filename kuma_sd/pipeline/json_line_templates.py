"""Render targets without making label sets, by templates for targets whose labels have the same names.

Such targets differ only in their values. A template holds the rest of the line of JSON: valid names, in order. It is
made by rendering a target with marks as values, so the line equals that of the label profile and the renderer.
"""

import re
from collections.abc import Callable, Hashable, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from kuma_sd.core.encoded_target import LabelCodec, label_codec
from kuma_sd.core.errors import TransformError
from kuma_sd.core.model import Assignment, Codec, Key, Target
from kuma_sd.core.target_group import GroupKey, TargetGroup
from kuma_sd.core.yaml_escapes import as_yaml
from kuma_sd.pipeline.remembered_json import Facts, Labels, in_json
from kuma_sd.prometheus.label_profiles import LabelProfile
from kuma_sd.prometheus.scrapable import INTERVAL, TIMEOUT, check_address

MOST_SHAPES = 1000
"""Maximum number of cached sets of labels, or of label names, since these are external input."""

LONGEST_LINE = 4096
"""Maximum length of the line of a target whose labels are remembered together, in bytes."""

_MARK = re.compile('"\ue000(\\d+)\ue001"'.encode())
"""A value of a marked target in JSON; no valid name has these characters."""

_Shape = tuple[str | None, ...]
"""The names of a target's labels in their order, which is the same in all (Go's deterministic protobuf sorts them), and
None if the target has a control plane."""

_Encoded = tuple[Hashable, ...]
"""The encoded labels of a target, and None if it has a control plane."""

_NAME, _VALUE = itemgetter(0), itemgetter(1)

_ANY_KEY = GroupKey(Key("", "", "", 0), 0)


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


_Known = tuple[_Template | None, tuple[bytes, ...]]
"""The template for labels, and their values."""


class _Labels(NamedTuple):
    """How to read the targets of a codec, and their labels.

    Args:
        of: the codec.
        codec: the same, or one that reads with it and can leave labels encoded.
        label: returns the name and the value in JSON of an encoded label.
    """

    of: Codec
    codec: LabelCodec
    label: Callable[[Hashable], tuple[str, bytes]]


class LineTemplates:
    """Renders targets to the same bytes as a label profile and `TargetGroup.render`, in a third of the time.

    Args:
        profile: the label profile.
        most_labels: targets with more labels are left to the label set.
    """

    def __init__(self, profile: LabelProfile, most_labels: int = 1000) -> None:
        self._profile = profile
        self._most_labels = most_labels
        # Of the last codec. Targets come in the order of control planes, so another one follows rarely.
        self._labels: _Labels | None = None
        self._facts = Facts()
        # None where the line has to be made from the label set.
        self._templates: dict[_Shape, _Template | None] = {}
        self._seen: set[_Shape] = set()
        self._known: dict[_Encoded, _Known] = {}

    def render(self, assignment: Assignment) -> bytes | None:
        """Return the line of an assignment; None if it has to be made from the label set.

        Raises:
            SourceError: the assignment or one of its labels cannot be read.
            TransformError: Prometheus would refuse the target.
        """
        labels = self._labels
        if labels is None or labels.of is not assignment.codec:
            labels = self._labels = _labels_of(assignment.codec)
            self._known = {}
        one = labels.codec.read_encoded(assignment.key, assignment.data)
        facts = one.mesh, one.service, one.job or one.service, one.scheme, one.metrics_path
        try:
            # Replicas of a service mostly have the same labels.
            encoded = (*one.labels, None) if one.control_plane else (*one.labels,)
            template, values = self._known.get(encoded) or self._looked_up(encoded, labels)
            shared = self._facts[*facts, one.control_plane] if one.control_plane else self._facts[facts]
            # An empty value means that the label is absent.
            if not (template and shared and one.name and one.address):
                return None
            # These two are hardly ever those of another target, so they are not remembered.
            written = in_json("" + one.name), in_json("" + one.address), *shared, *values
            line = as_yaml(template.line % template.pick(written))
        except (TypeError, UnicodeEncodeError):
            # A value is no text that can be written; the renderer says which.
            return None
        check_address(one.address, one.scheme)
        if template.repaired or template.collided:
            self._profile.repaired += template.repaired
            self._profile.collided += template.collided
        return line

    def _looked_up(self, encoded: _Encoded, labels: _Labels) -> _Known:
        """Return the template for labels, None if there is none, and their values."""
        pairs = [(None, b"") if label is None else labels.label(label) for label in encoded]
        shape = (*map(_NAME, pairs),)
        template = self._templates.get(shape) or self._template_of(shape)
        if not template:
            return None, ()
        known = template, (*map(_VALUE, pairs),)
        if len(template.line) + sum(map(len, known[1])) <= LONGEST_LINE:
            _bound(self._known)
            self._known[encoded] = known
        return known

    def _template_of(self, shape: _Shape) -> _Template | None:
        if shape in self._templates:
            return self._templates[shape]
        if shape not in self._seen:
            # Names that only one target has: a template would cost more than it saves.
            _bound(self._seen)
            self._seen.add(shape)
            return None
        _bound(self._templates)
        template = self._templates[shape] = self._made(shape)
        return template

    def _made(self, shape: _Shape) -> _Template | None:
        names = [name for name in shape if name is not None]
        # A label without a value is absent, and one that stands twice has its last value.
        if len(names) > self._most_labels or len({"", *names}) <= len(names):
            return None
        # A profile of its own, since that of the chain counts the repairs of targets.
        profile = LabelProfile(self._profile.name)
        labels = profile(_marked(names, has_control_plane=len(names) < len(shape)))
        if INTERVAL in labels or TIMEOUT in labels:
            # Whether Prometheus takes these depends on their values.
            return None
        try:
            pieces = _MARK.split(TargetGroup.render(_ANY_KEY, labels).json)
        except TransformError:
            return None
        line = b"%b".join(piece.replace(b"%", b"%%") for piece in pieces[::2])
        return _Template(line, itemgetter(*map(int, pieces[1::2])), profile.repaired, profile.collided)


def _labels_of(codec: Codec) -> _Labels:
    reading = label_codec(codec)
    return _Labels(codec, reading, Labels(reading.label).__getitem__)


def _marked(names: Sequence[str], *, has_control_plane: bool) -> Target:
    """Return a target with these labels, whose values are the places that they have in `LineTemplates.render`."""
    name, address, mesh, service, job, scheme, path, *others = (
        f"\ue000{place}\ue001" for place in range(7 + has_control_plane + len(names))
    )
    control_plane = others.pop(0) if has_control_plane else ""
    labels = dict(zip(names, others, strict=True))
    return Target(control_plane, mesh, service, name, address, scheme, path, labels, job)


def _bound(remembered: set[_Shape] | dict[_Shape, Any] | dict[_Encoded, Any]) -> None:
    if len(remembered) >= MOST_SHAPES:
        remembered.clear()
