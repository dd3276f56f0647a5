"""Whether dataplanes that a list lacks are gone, where the list itself proves nothing."""

import contextlib
from collections.abc import Callable, Collection
from typing import NamedTuple, TypeVar

import msgspec

from kuma_sd_bundled.kuma_api.documents import ResourceKey
from kuma_sd_bundled.kuma_api.errors import NotFoundError
from kuma_sd_bundled.kuma_api.lists import Get
from kuma_sd_bundled.kuma_api.policies import quoted

T = TypeVar("T")

MOST_QUESTIONS = 100
"""How many dataplanes are asked for one by one in a poll."""


class Answers(NamedTuple):
    """What was asked.

    Args:
        present: the answers of those that are there.
        gone: those that are not.
    """

    present: dict[ResourceKey, bytes]
    gone: set[ResourceKey]


class Absences:
    """Asks for dataplanes one by one; those that were asked for longest ago come first."""

    def __init__(self) -> None:
        self._asked: dict[ResourceKey, int] = {}
        self._count = 0

    def ask(self, get: Get, missing: Collection[ResourceKey]) -> Answers:
        """Ask for some of the missing.

        Args:
            get: asks the API server.
            missing: the dataplanes that were there and that a list lacks.

        Raises:
            SourceError: the API server fails.
        """
        self._asked = {key: when for key, when in self._asked.items() if key in missing}
        answers = Answers({}, set())
        for key in sorted(missing, key=lambda key: (self._asked.get(key, 0), key))[:MOST_QUESTIONS]:
            self._count += 1
            self._asked[key] = self._count
            try:
                answers.present[key] = get(f"/meshes/{quoted(key.mesh)}/dataplanes/{quoted(key.name)}")
            except NotFoundError:
                answers.gone.add(key)
        return answers


def read_answers(
    present: dict[ResourceKey, bytes], read: Callable[[bytes], tuple[ResourceKey, T]]
) -> dict[ResourceKey, T]:
    """Read the dataplanes that are there; an answer that is about something else proves nothing, and is left out."""
    found: dict[ResourceKey, T] = {}
    for asked, body in present.items():
        with contextlib.suppress(msgspec.MsgspecError, UnicodeDecodeError):
            key, dataplane = read(body)
            if key == asked:
                found[asked] = dataplane
    return found
