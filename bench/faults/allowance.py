"""Calculate the maximum recovery time."""

import os

SLACK = float(os.environ.get("FAULTS_SLACK", "1"))
"""Time allowed in addition to the back-off, in seconds; more than 1 only on a shared machine."""


STEADY_SECONDS = 4.0
"""A connection of this length, in seconds, certainly resets the back-off."""


def allowed(outage: float, short: int = 0) -> float:
    """Return the maximum recovery time after an outage, in seconds: the current back-off plus SLACK.

    The n-th wait is at least half of its bound of 0.5 * 2**n s, so all waits before it took at least 0.25 * (2**n - 1);
    they fit into the outage, so that the bound is at most twice that and half a second.

    Args:
        outage: how long it was, in seconds.
        short: how many connections in a row did not hold for long before it, each of which doubles the first wait.
    """
    return min(30.0, 2 * outage + 0.5 * 2.0**short) + SLACK
