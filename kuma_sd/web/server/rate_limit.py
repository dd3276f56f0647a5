"""Limit a listener's request rate with a token bucket: ``rate_limit`` of the web configuration."""

import math
import threading
import time
from collections.abc import Callable

from kuma_sd.web.application import Refused


class RateLimit:
    """Allows one request per interval, and a burst after a pause.

    Args:
        interval: the time between two requests, in seconds.
        burst: maximum size of a burst.
        clock: a monotonic clock, in seconds.
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
            Refused: the rate is exceeded.
        """
        with self._lock:
            now = self._clock()
            self._tokens = min(self._burst, self._tokens + (now - self._when) / self._interval)
            self._when = now
            if self._tokens < 1:
                wait = math.ceil((1 - self._tokens) * self._interval)
                raise Refused(429, "too many requests; wait", {"Retry-After": str(wait)})
            self._tokens -= 1
