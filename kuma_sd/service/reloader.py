"""Reading the settings again, in a thread of its own: nothing that takes its time keeps the watchdog waiting."""

import threading
from collections.abc import Callable
from typing import NamedTuple

from kuma_sd.core.errors import KumaSDError
from kuma_sd.core.logger import Logger
from kuma_sd.settings.loader import Settings

_log = Logger(__name__)

RETRY_SECONDS = 5.0
"""After how long settings that were refused are read again: a file that they name may be right by then."""

MISSED_EDIT_SECONDS = 1.0
"""After how long settings are read again whose files were not watched while they were read."""

REST_SECONDS = 0.2
"""The least time between two reloads, however often somebody asks."""


class ReloadSteps(NamedTuple):
    """What a reload consists of.

    Args:
        read: reads the settings; raises KumaSDError if they are wrong.
        apply: goes on with them, which may be the old ones; raises KumaSDError if that cannot be done, and everything
            goes on as it was.
        follow: watches the files that they were read from; tells whether one of them was not watched before.
        begin: says that a reload begins.
        end: says that it is over, and why it failed, empty if it did not.
    """

    read: Callable[[], Settings]
    apply: Callable[[Settings], None]
    follow: Callable[[Settings], bool]
    begin: Callable[[], None]
    end: Callable[[str], None]


class Reloader:
    """Reads the settings again when that is asked for, until they are right, and until no edit can have been missed.

    Args:
        settings: those that are in effect, which were read before anybody watched their files.
        steps: what a reload consists of.
    """

    def __init__(self, settings: Settings, steps: ReloadSteps) -> None:
        self._settings = settings
        self._steps = steps
        self._asked = threading.Event()
        self._closing = threading.Event()
        self._failing = ""
        self._may_have_missed_an_edit = True

    def ask(self) -> None:
        """Let the settings be read again, from any thread."""
        self._asked.set()

    def run(self) -> None:
        """Read whenever there is reason to, until closed."""
        while not self._closing.wait(REST_SECONDS):
            asked = self._asked.wait(self._patience())
            self._asked.clear()
            if not self._closing.is_set():
                self._reload(asked=asked)

    def close(self) -> None:
        """End run(), from any thread."""
        self._closing.set()
        self._asked.set()

    def _patience(self) -> float | None:
        if self._failing:
            return RETRY_SECONDS
        return MISSED_EDIT_SECONDS if self._may_have_missed_an_edit else None

    def _reload(self, *, asked: bool) -> None:
        if asked:
            self._steps.begin()
        before, failing = self._settings, ""
        try:
            self._settings = self._taken(asked=asked)
        except KumaSDError as error:
            failing = str(error)
        news = asked or failing != self._failing or self._settings != before
        self._failing = failing
        if news:
            if failing:
                _log.error("the settings were not reloaded, the old ones stay", reason=failing)
            self._steps.end(failing)

    def _taken(self, *, asked: bool) -> Settings:
        settings = self._steps.read()
        if asked or settings != self._settings:
            self._steps.apply(settings)
        self._may_have_missed_an_edit = self._steps.follow(settings)
        return settings
