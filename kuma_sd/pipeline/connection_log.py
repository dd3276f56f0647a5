"""Log the connection to one control plane: each state once, however often it flaps."""

import threading
from collections.abc import Callable

from kuma_sd.core.logger import Logger
from kuma_sd.core.option_types import show_duration
from kuma_sd.core.source_status import SourceStatus
from kuma_sd.system.deadline import Deadline

_log = Logger(__name__)

CALM_SECONDS = 300.0
"""How long a connection must hold before its next loss is logged again."""

CALM = show_duration(CALM_SECONDS)
"""The same as text."""


class ConnectionLog:
    """Logs when a connection is made and lost; a flapping one is logged once until it is calm.

    Args:
        title: the control plane's name in the log.
        source: returns the status of the source.
    """

    def __init__(self, title: str, source: Callable[[], SourceStatus]) -> None:
        self._title = title
        self._source = source
        self._lock = threading.Lock()
        self._up: bool | None = None
        self._lost_lately = False
        self._flapping = False
        self._protocol = ""
        self._calm = Deadline(f"calm of {title}", self._is_calm)

    def made(self) -> None:
        """Record that a connection brought its first snapshot."""
        with self._lock:
            self._up = True
            # Another protocol means another Kuma version, which is always logged.
            if not self._flapping or self._source().protocol != self._protocol:
                self._say_connected()
            if self._lost_lately:
                self._calm.set(CALM_SECONDS)

    def lost(self, reason: str, error: BaseException | None) -> None:
        """Record that a connection was lost, or an attempt to connect failed.

        Args:
            reason: the reason.
            error: the exception, if it is unexpected.
        """
        self._calm.set(None)
        with self._lock:
            was_up = self._up
            self._up = False
            if self._flapping or was_up is False:
                _log.debug("connection failed", control_plane=self._title, reason=reason)
                return
            self._flapping = bool(was_up and self._lost_lately)
            self._lost_lately = True
        text = "connection failed; trying again, targets stay as they are"
        if self._flapping:
            text = f"connection fails again and again; this is logged once until it holds for {CALM}"
        _log.warning(text, control_plane=self._title, reason=reason, error=error)

    def close(self) -> None:
        """Log no more."""
        self._calm.close()

    def _is_calm(self) -> None:
        with self._lock:
            flapping = self._flapping
            self._flapping = False
            self._lost_lately = False
            if flapping and self._up:
                self._say_connected()

    def _say_connected(self) -> None:
        status = self._source()
        self._protocol = status.protocol
        _log.info(
            "connected",
            control_plane=self._title,
            protocol=status.protocol,
            endpoint=status.endpoint or None,
            reason=status.why or None,
        )
