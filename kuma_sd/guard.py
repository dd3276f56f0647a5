"""What a snapshot may take away."""

from dataclasses import replace

from kuma_sd.model import Snapshot


class Guard:
    """Stands before the pipeline, one for each control plane.

    An incomplete snapshot takes nothing away: something in it did not parse, so absence proves nothing.
    """

    def __init__(self) -> None:
        self._admitted: Snapshot | None = None

    def admit(self, snapshot: Snapshot) -> Snapshot:
        """Return the snapshot as it may be published."""
        if not snapshot.complete and self._admitted:
            present = {assignment.key for assignment in snapshot.assignments}
            held = [assignment for assignment in self._admitted.assignments if assignment.key not in present]
            # Keys are unique, so nothing but them is compared.
            snapshot = replace(snapshot, assignments=sorted([*snapshot.assignments, *held]))
        self._admitted = snapshot
        return snapshot
