"""How long a recovery may take."""

import os

SLACK = float(os.environ.get("FAULTS_SLACK", "1"))
"""How much longer than the back-off, in seconds; more than 1 only where others use the machine as well."""


def allowed(outage: float) -> float:
    """Return how long all may take to be right after an outage, in seconds: the back-off under way, and SLACK.

    The n-th wait is at least half of its bound of 0.5 * 2**n s, so all waits before it took at least 0.25 * (2**n - 1);
    they fit into the outage, so that the bound is at most twice that and half a second.
    """
    return min(30.0, 2 * outage + 0.5) + SLACK
