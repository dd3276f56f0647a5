"""Tell apart what was added, removed and changed between two publications."""

from collections.abc import Sequence

import msgspec

from kuma_sd.core.list_diff import have_equal_keys
from kuma_sd.core.target_group import TargetGroup


class Change(msgspec.Struct, frozen=True):
    """The difference between a publication and an earlier one; each part is sorted by key."""

    added: Sequence[TargetGroup]
    removed: Sequence[TargetGroup]
    changed: Sequence[TargetGroup]

    def __bool__(self) -> bool:
        return bool(self.added or self.removed or self.changed)

    @classmethod
    def between(cls, vanished: Sequence[TargetGroup], new: Sequence[TargetGroup]) -> "Change":
        """Tell what was added, removed and changed.

        Args:
            vanished: the groups that only the earlier publication has; one that changed is in both lists.
            new: the groups that only the later one has.
        """
        if have_equal_keys(vanished, new):
            pairs = zip(vanished, new, strict=True)
            return cls((), (), tuple(group for before, group in pairs if before.json != group.json))
        gone = {group.key: group for group in vanished}
        added, changed = list[TargetGroup](), list[TargetGroup]()
        for group in new:
            before = gone.pop(group.key, None)
            if before is None:
                added.append(group)
            elif before != group:
                changed.append(group)
        return cls(tuple(added), tuple(gone.values()), tuple(changed))

    @property
    def counts(self) -> dict[str, int]:
        """The sizes of the parts, by name."""
        return {"added": len(self.added), "removed": len(self.removed), "changed": len(self.changed)}

    def __str__(self) -> str:
        return f"{len(self.added)} added, {len(self.removed)} removed, {len(self.changed)} changed"
