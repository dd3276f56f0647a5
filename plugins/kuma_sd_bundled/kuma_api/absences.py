"""Check whether dataplanes that are missing in a list are gone, if the list itself proves nothing."""

import contextlib
from collections.abc import Callable, Collection
from typing import NamedTuple, TypeVar

from kuma_sd import UNREADABLE
from kuma_sd_bundled.kuma_api.documents import ResourceKey
from kuma_sd_bundled.kuma_api.errors import DeletedError, NotFoundError
from kuma_sd_bundled.kuma_api.lists import Get
from kuma_sd_bundled.kuma_api.policies import quoted

T = TypeVar("T")

MOST_QUESTIONS = 100
"""Maximum number of dataplanes that are requested individually in a poll."""


class Answers(NamedTuple):
    """The results of individual requests for dataplanes.

    Args:
        present: the responses about existing dataplanes.
        gone: the dataplanes that do not exist.
    """

    present: dict[ResourceKey, bytes]
    gone: set[ResourceKey]


class Absences:
    """Requests dataplanes individually, beginning with those requested longest ago."""

    def __init__(self) -> None:
        self._asked: dict[ResourceKey, int] = {}
        self._count = 0

    def ask(self, get: Get, missing: Collection[ResourceKey]) -> Answers:
        """Request some of the missing dataplanes.

        Args:
            get: sends a request to the API server.
            missing: known dataplanes that are missing in a list.

        Raises:
            SourceError: the API server fails.
        """
        self._asked = {key: when for key, when in self._asked.items() if key in missing}
        answers = Answers({}, set())
        for key in sorted(missing, key=lambda key: (self._asked.get(key, 0), key))[:MOST_QUESTIONS]:
            self._count += 1
            self._asked[key] = self._count
            try:
                answers.present[key] = bytes(get(f"/meshes/{quoted(key.mesh)}/dataplanes/{quoted(key.name)}"))
            except DeletedError:
                answers.gone.add(key)
            except NotFoundError:
                # A gateway may let through nothing but the lists; that proves nothing.
                continue
        return answers


def read_answers(
    present: dict[ResourceKey, bytes], read: Callable[[bytes], tuple[ResourceKey, T]]
) -> dict[ResourceKey, T]:
    """Decode the existing dataplanes; a response about another dataplane proves nothing, and is left out."""
    found: dict[ResourceKey, T] = {}
    for asked, body in present.items():
        with contextlib.suppress(*UNREADABLE):
            key, dataplane = read(body)
            if key == asked:
                found[asked] = dataplane
    return found
