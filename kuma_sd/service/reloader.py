"""Reload the settings in a thread of its own, so that a slow reload does not delay the watchdog."""

import threading
from collections.abc import Callable
from typing import NamedTuple

from kuma_sd.core.errors import ConfigError, KumaSDError, PluginError
from kuma_sd.core.logger import Logger
from kuma_sd.settings.model import Settings

_log = Logger(__name__)

RETRY_SECONDS = 5.0
"""Delay before rejected settings are read again, in seconds: a file that they name may be correct by then."""

MISSED_EDIT_SECONDS = 1.0
"""Delay before settings are read again whose files were not yet watched while they were read, in seconds."""

REST_SECONDS = 0.2
"""Minimum time between two reloads, in seconds."""


class ReloadSteps(NamedTuple):
    """The steps of a reload.

    Args:
        read: reads the settings; raises KumaSDError if they are invalid.
        apply: applies them; they may be unchanged. Raises KumaSDError if that fails; then nothing changes.
        follow: watches the settings' files; returns whether one of them was not watched before.
        begin: reports the start of a reload.
        end: reports its end, and why it failed; empty if it succeeded.
    """

    read: Callable[[], Settings]
    apply: Callable[[Settings], None]
    follow: Callable[[Settings], bool]
    begin: Callable[[], None]
    end: Callable[[str], None]


class Reloader:
    """Reloads the settings on request; retries until they are valid and no edit can have been missed.

    Args:
        settings: the settings in effect, which were read before their files were watched.
        steps: the steps of a reload.
    """

    def __init__(self, settings: Settings, steps: ReloadSteps) -> None:
        self._settings = settings
        self._steps = steps
        self._asked = threading.Event()
        self._closing = threading.Event()
        self._failing = ""
        self._may_have_missed_an_edit = True

    def ask(self) -> None:
        """Request a reload; safe to call from any thread."""
        self._asked.set()

    def run(self) -> None:
        """Reload when requested or due, until closed."""
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
        unexpected: BaseException | None = None
        try:
            self._settings = self._taken(asked=asked)
        except KumaSDError as error:
            failing = str(error)
            unexpected = error.__cause__ if isinstance(error, PluginError) else None
        news = asked or failing != self._failing or self._settings != before
        self._failing = failing
        if news:
            if failing:
                _log.error("the settings were not reloaded, the old ones stay", error=unexpected, reason=failing)
            self._steps.end(failing)

    def _taken(self, *, asked: bool) -> Settings:
        settings = self._steps.read()
        if asked or settings != self._settings:
            _check_not_emptied(self._settings, settings)
            self._steps.apply(settings)
        # An edit that is undone before the watcher looks shows it nothing, though a signal may have had it read.
        self._may_have_missed_an_edit = self._steps.follow(settings) or asked
        return settings


def _check_not_emptied(before: Settings, after: Settings) -> None:
    """Reject a file that has become empty, for example because an editor is about to write it.

    Raises:
        ConfigError: the file has no settings, but had some before.
    """
    config = getattr(after.arguments, "config", None)
    if _settings_from_file(before) and not _settings_from_file(after):
        raise ConfigError(f"there is not a single setting in {str(config)!r}; to run with defaults, restart")


def _settings_from_file(settings: Settings) -> int:
    config = getattr(settings.arguments, "config", None)
    return sum(setting.origin.startswith(f"{config}:") for setting in settings.effective) if config else 0
