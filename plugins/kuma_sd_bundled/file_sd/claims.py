"""Claim the files of an output, so that only one process writes them."""

import threading
from collections.abc import Iterable
from pathlib import Path

from kuma_sd import FileClaim, OutputError


class Claims:
    """Locks for the files of each shard, with all their parts. Several threads may use it.

    Args:
        paths: the paths to claim.
    """

    def __init__(self, paths: Iterable[Path]) -> None:
        self._paths = list(paths)
        self._claims: list[FileClaim] = []
        self._renewing = threading.Lock()

    def take(self) -> None:
        """Claim all or none.

        Raises:
            OutputError: a path cannot be claimed.
        """
        try:
            for path in self._paths:
                self._claims.append(FileClaim(path))
        except OutputError:
            self.release()
            raise

    def renew(self) -> None:
        """Renew the claims, since another program may have removed a directory with its lock.

        Raises:
            OutputError: another process has one.
        """
        with self._renewing:
            for claim in self._claims:
                claim.renew()

    def release(self) -> None:
        """Release the claims."""
        with self._renewing:
            for claim in self._claims:
                claim.release()
            self._claims.clear()
