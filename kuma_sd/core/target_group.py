"""Render a target as Prometheus sees it: labels become a line of JSON."""

import msgspec

from kuma_sd.core.errors import TransformError
from kuma_sd.core.model import Key, Labels
from kuma_sd.core.yaml_escapes import as_yaml


class GroupKey(msgspec.Struct, frozen=True, order=True, gc=False, array_like=True):
    """The identity of a group: the key of its assignment, and its index among the results of the transforms."""

    assignment: Key
    place: int


# YAML 1.1 (9.3.2) limits plain keys to 1,024 characters; Prometheus would refuse the whole file for one longer name.
LONGEST_LABEL_NAME = 1000


class _GroupInJSON(msgspec.Struct, gc=False):
    targets: list[str]
    labels: Labels


# With sorted labels.
_ENCODER = msgspec.json.Encoder(order="deterministic")
_DECODER = msgspec.json.Decoder(_GroupInJSON)


class TargetGroup(msgspec.Struct, frozen=True, order=True, gc=False, array_like=True):
    """One target as Prometheus sees it: its key and its line of JSON, and nothing else.

    Args:
        key: its identity.
        json: ``{"targets":[…],"labels":{…}}`` with sorted names; with ``- `` in front it is a line of YAML.
    """

    key: GroupKey
    json: bytes

    @classmethod
    def render(cls, key: GroupKey, labels: Labels) -> "TargetGroup":
        """Render a label set: ``__address__`` becomes the target, empty values are left out.

        Raises:
            TransformError: a name or value cannot be written.
        """
        present = labels.copy() if all(labels.values()) else {name: value for name, value in labels.items() if value}
        try:
            # JSON would accept numbers; joining is the cheapest check that all values are text.
            "".join(present.values())
            address = present.pop("__address__", "")
            line = _ENCODER.encode(_GroupInJSON([address], present))
        except (TypeError, UnicodeEncodeError) as error:
            raise TransformError(f"labels must be valid Unicode text: {error}") from error
        # A name cannot be longer than the line, so most lines need no check.
        if len(line) > LONGEST_LABEL_NAME and max(map(len, present), default=0) > LONGEST_LABEL_NAME:
            raise TransformError(f"a label name is longer than {LONGEST_LABEL_NAME} characters")
        return cls(key, as_yaml(line))

    @property
    def targets(self) -> list[str]:
        """The addresses, decoded from the line."""
        return _DECODER.decode(self.json).targets

    @property
    def labels(self) -> Labels:
        """The labels without ``__address__``, decoded from the line."""
        return _DECODER.decode(self.json).labels
