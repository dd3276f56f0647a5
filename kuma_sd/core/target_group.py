"""One target as Prometheus sees it: labels become a line of JSON."""

import re

import msgspec

from kuma_sd.core.errors import TransformError
from kuma_sd.core.model import Key, Labels


class GroupKey(msgspec.Struct, frozen=True, order=True, gc=False, array_like=True):
    """The assignment's key, and the place among the results of its transforms."""

    assignment: Key
    place: int


# JSON allows these, strict YAML readers refuse them or take them for line ends (go-yaml v2 as in Prometheus).
_NOT_IN_YAML = re.compile("[\x7f-\x9f\u2028\u2029\ufffe\uffff]")

# YAML takes no longer plain key than 1,024 characters (YAML 1.1, 9.3.2), and one such name would cost the whole file.
LONGEST_LABEL_NAME = 1000


class _GroupInJSON(msgspec.Struct, gc=False):
    targets: list[str]
    labels: Labels


# Sorts the labels.
_ENCODER = msgspec.json.Encoder(order="deterministic")
_DECODER = msgspec.json.Decoder(_GroupInJSON)

_DELETE = 0x7F
"""The only one of them in ASCII."""


def _for_yaml(line: bytes) -> bytes:
    return _NOT_IN_YAML.sub(lambda found: f"\\u{ord(found[0]):04x}", line.decode()).encode()


def as_yaml(line: bytes) -> bytes:
    """Return a line of JSON so that it is YAML too; it means the same."""
    return line if line.isascii() and _DELETE not in line else _for_yaml(line)


class TargetGroup(msgspec.Struct, frozen=True, order=True, gc=False, array_like=True):
    """One target as Prometheus will see it: its key and its line of JSON. Nothing else is kept.

    Args:
        key: its identity.
        json: ``{"targets":[…],"labels":{…}}`` with sorted names; ``- `` in front of it makes it a line of YAML.
    """

    key: GroupKey
    json: bytes

    @classmethod
    def render(cls, key: GroupKey, labels: Labels) -> "TargetGroup":
        """Render a label set; its ``__address__`` becomes the target, empty values are left out.

        Raises:
            TransformError: a name or value cannot be written.
        """
        present = labels.copy() if all(labels.values()) else {name: value for name, value in labels.items() if value}
        try:
            # JSON would take numbers; joining is the cheapest way to ask whether everything is text.
            "".join(present.values())
            address = present.pop("__address__", "")
            line = _ENCODER.encode(_GroupInJSON([address], present))
        except (TypeError, UnicodeEncodeError) as error:
            raise TransformError(f"labels must be valid Unicode text: {error}") from error
        # No name is longer than the line, so that most are not looked at.
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
