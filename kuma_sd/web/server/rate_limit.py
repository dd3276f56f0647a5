"""How many requests a listener takes, as ``rate_limit`` of a web configuration says: a token bucket."""

import math
import threading
import time
from collections.abc import Callable

from kuma_sd.web.application import Refused


class RateLimit:
    """Takes one request an interval, and some more at once after a pause.

    Args:
        interval: the time between two requests, in seconds.
        burst: how many may come at once.
        clock: seconds that never go back.
    """

    def __init__(self, interval: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._interval = interval
        self._burst = burst
        self._clock = clock
        self._lock = threading.Lock()
        self._tokens = float(burst)
        self._when = clock()

    def check(self) -> None:
        """Count a request.

        Raises:
            Refused: there were too many.
        """
        with self._lock:
            now = self._clock()
            self._tokens = min(self._burst, self._tokens + (now - self._when) / self._interval)
            self._when = now
            if self._tokens < 1:
                wait = math.ceil((1 - self._tokens) * self._interval)
                raise Refused(429, "too many requests; wait", {"Retry-After": str(wait)})
            self._tokens -= 1
