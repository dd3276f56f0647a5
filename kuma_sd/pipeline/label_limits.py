"""Limit the labels of a target: how many it may have, and how long they may be."""

from typing import NamedTuple

from kuma_sd.core.errors import TransformError
from kuma_sd.core.model import Target


class LabelLimits(NamedTuple):
    """Limits of a target, since anybody may tag a dataplane.

    Args:
        labels: maximum number of labels.
        label_value_length: maximum length of a label's value, in bytes.
    """

    labels: int = 1000
    label_value_length: int = 2**16

    def check(self, target: Target, size: int) -> None:
        """Refuse a target that exceeds a limit.

        Args:
            target: the target.
            size: the size of the assignment from which it was read, in bytes.

        Raises:
            TransformError: it exceeds a limit.
        """
        if len(target.labels) > self.labels:
            raise TransformError(f"it has {len(target.labels)} labels, more than max-labels ({self.labels})")
        # No name or value is longer than the assignment, so most targets need no further check.
        if size > self.label_value_length:
            if len(max(target.labels, key=len, default="")) > self.label_value_length:
                raise TransformError("the name of one of its labels is longer than max-label-value-length")
            name, value = max(target.labels.items(), key=lambda item: len(item[1].encode()), default=("", ""))
            if len(value.encode()) > self.label_value_length:
                raise TransformError(f"the value of its label {name!r} is longer than max-label-value-length")
