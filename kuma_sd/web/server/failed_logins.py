"""Count the wrong passwords of each client, and refuse more of them for a while."""

from collections import OrderedDict
from collections.abc import Callable
from typing import NamedTuple

from kuma_sd.core.bounded_cache import remember_newest
from kuma_sd.web.application import Refused
from kuma_sd.web.server.limits import client_of

MOST_CLIENTS = 1000
"""Maximum number of clients whose wrong passwords are counted."""

MOST_FAILURES = 5
"""Number of wrong passwords that a client may try in a burst."""

FAILURES_A_SECOND = 0.2
"""Number of attempts that a client regains per second."""


class _Failures(NamedTuple):
    number: float
    when: float


class FailedLogins:
    """The wrong passwords of each client.

    Args:
        clock: seconds that never go back.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, _Failures] = OrderedDict()

    def check(self, address: str) -> None:
        """Find out whether a client may try a password.

        Args:
            address: the client's address.

        Raises:
            Refused: there were too many wrong ones.
        """
        failed = self._failed(client_of(address))
        if failed > MOST_FAILURES - 1:
            wait = (failed - MOST_FAILURES + 1) / FAILURES_A_SECOND
            raise Refused(429, "too many wrong passwords; wait", {"Retry-After": str(int(wait) + 1)})

    def add(self, address: str) -> None:
        """Count a wrong password."""
        client = client_of(address)
        remember_newest(self._failures, client, _Failures(self._failed(client) + 1, self._clock()), MOST_CLIENTS)

    def _failed(self, client: str) -> float:
        now = self._clock()
        number, when = self._failures.get(client, _Failures(0, now))
        return max(0.0, number - (now - when) * FAILURES_A_SECOND)
