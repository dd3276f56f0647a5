"""How long a recovery may take."""

import os

SLACK = float(os.environ.get("FAULTS_SLACK", "1"))
"""How much longer than the back-off, in seconds; more than 1 only where others use the machine as well."""


STEADY_SECONDS = 4.0
"""A connection that held for this long ends the back-off for certain."""


def allowed(outage: float, short: int = 0) -> float:
    """Return how long all may take to be right after an outage, in seconds: the back-off under way, and SLACK.

    The n-th wait is at least half of its bound of 0.5 * 2**n s, so all waits before it took at least 0.25 * (2**n - 1);
    they fit into the outage, so that the bound is at most twice that and half a second.

    Args:
        outage: how long it was, in seconds.
        short: how many connections in a row did not hold for long before it, each of which doubles the first wait.
    """
    return min(30.0, 2 * outage + 0.5 * 2.0**short) + SLACK
