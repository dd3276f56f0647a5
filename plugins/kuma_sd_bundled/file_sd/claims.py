"""The right to write an output's files, which only one process has."""

import threading
from collections.abc import Iterable
from pathlib import Path

from kuma_sd import FileClaim, OutputError


class Claims:
    """One claim for each shard, however many parts it has. Several threads may use it.

    Args:
        paths: what is claimed.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = list(paths)
        self._claims: list[FileClaim] = []
        self._renewing = threading.Lock()

    def take(self) -> None:
        """Claim all or none.

        Raises:
            OutputError: that cannot be had.
        """
        try:
            for path in self._paths:
                self._claims.append(FileClaim(path))
        except OutputError:
            self.release()
            raise

    def renew(self) -> None:
        """Make sure that they hold, since somebody may have removed a directory and the lock with it.

        Raises:
            OutputError: another process has one.
        """
        with self._renewing:
            for claim in self._claims:
                claim.renew()

    def release(self) -> None:
        """Let others have them."""
        with self._renewing:
            for claim in self._claims:
                claim.release()
            self._claims.clear()
