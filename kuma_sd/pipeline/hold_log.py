"""Log when targets are held, when an operator should check, and when that is over."""

import logging

from kuma_sd.core.logger import Logger
from kuma_sd.core.option_types import show_duration
from kuma_sd.pipeline.guard import FOREVER, GuardStatus

_log = Logger(__name__)

CALM_SECONDS = 300.0
"""Seconds without held targets after which the end is logged, however often it flaps."""


class HoldLog:
    """Logs the holds of one control plane: a few targets after a reconnect are normal, everything else is a warning.

    Args:
        title: the control plane's name in the log.
    """

    def __init__(self, title: str) -> None:
        self.title = title
        self._hold = 0.0
        self._said = logging.NOTSET
        self._holding = False
        self._calm_since: float | None = None
        self._doubtful_since: float | None = None
        self._doubt_said = False

    @property
    def deadline(self) -> float:
        """When note() must be called next even if nothing happens, in monotonic seconds."""
        calm = FOREVER if self._calm_since is None or not self._said else self._calm_since + CALM_SECONDS
        doubt = FOREVER if self._doubtful_since is None or self._doubt_said else self._doubtful_since + self._hold
        return min(calm, doubt)

    def note(self, status: GuardStatus, hold: float, now: float) -> None:
        """Log changes.

        Args:
            status: the status of the guard.
            hold: how long targets are held, in seconds.
            now: the current time, in monotonic seconds.
        """
        self._hold = hold
        began = bool(status.held.targets) and not self._holding
        self._holding = bool(status.held.targets)
        if status.held.targets:
            self._calm_since = None
            repeated = began and bool(self._said)
            self._say_held(status, hold, logging.WARNING if status.held.suspicious or repeated else logging.INFO)
        elif self._said:
            self._calm_since = now if self._calm_since is None else self._calm_since
            if now - self._calm_since >= CALM_SECONDS:
                self._said = logging.NOTSET
                _log.info("no vanished target is held any more", control_plane=self.title)
        self._note_doubtful(status.held.doubtful, hold, now)

    def _say_held(self, status: GuardStatus, hold: float, level: int) -> None:
        if level <= self._said:
            return
        self._said = level
        log = _log.warning if level == logging.WARNING else _log.info
        log(
            "targets vanished but stay; 'kuma-sd accept' releases them",
            control_plane=self.title,
            targets=status.held.targets,
            stay_for=None if status.until is None else show_duration(hold),
            reason=status.held.why,
        )

    def _note_doubtful(self, doubtful: int, hold: float, now: float) -> None:
        if not doubtful:
            if self._doubt_said:
                _log.info("no target is in doubt any more", control_plane=self.title)
            self._doubtful_since = None
            self._doubt_said = False
            return
        self._doubtful_since = now if self._doubtful_since is None else self._doubtful_since
        if not self._doubt_said and now - self._doubtful_since >= hold:
            self._doubt_said = True
            _log.warning(
                "missing targets stay while they may be unreadable assignments; 'kuma-sd accept' releases them",
                control_plane=self.title,
                targets=doubtful,
            )
