"""The process around the daemon: signals, systemd, and what makes it reload."""

import dataclasses
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kuma_sd.core.errors import KumaSDError
from kuma_sd.core.options import FileContent
from kuma_sd.runtime.daemon import STOP_TIMEOUT, Daemon
from kuma_sd.runtime.status_collector import StatusCollector
from kuma_sd.settings.loader import ControlPlaneSettings, OutputSettings, Settings, TransformSettings
from kuma_sd.system.file_watcher import FileWatcher
from kuma_sd.system.malloc import give_back
from kuma_sd.system.systemd import Notifier
from kuma_sd.web.client import default_control_socket
from kuma_sd.web.server.listener import ControlSocket
from kuma_sd.web.server.tcp import WebListeners

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_log = logging.getLogger(__name__)

STOPPING_SIGNALS = {signal.SIGTERM, signal.SIGINT}
SIGNALS = {*STOPPING_SIGNALS, signal.SIGHUP}

LONGEST_TICK = 30.0
"""How often systemd is told how the daemon is, in seconds, when it does not ask for more."""


class Service:
    """Runs a daemon until a signal ends it.

    Args:
        settings: what to run.
        reread: reads the settings again.

    Raises:
        ConfigError: options do not fit together.
        PluginError: a plugin cannot be made.
    """

    def __init__(self, settings: Settings, reread: Callable[[], Settings]) -> None:
        self._settings = settings
        self._reread = reread
        self._daemon = Daemon(settings)
        self._notifier = Notifier()
        self._collector = StatusCollector(self._daemon)
        self._application: WSGIApplication | None = None
        self._loading = threading.Lock()
        self._control = ControlSocket(settings.core.control_socket or default_control_socket(os.environ), self._answer)
        threads = self._daemon.threads
        self._web = WebListeners(self._answer, settings.web, threads.start, partial(threads.stop, STOP_TIMEOUT))
        self._watcher = FileWatcher(_files_of(settings), lambda _changed: self.reload_soon())
        self._tick = min(self._notifier.watchdog_interval or LONGEST_TICK, LONGEST_TICK)
        self._beat = 0.0
        self._ready = False

    def run(self) -> Sequence[str]:
        """Run until SIGTERM or SIGINT, and reload at SIGHUP; must be called in the main thread.

        Returns:
            The names of threads that could not be ended in time, because a plugin blocks.

        Raises:
            KumaSDError: an address cannot be listened on.
            OutputError: an output cannot be started.
        """
        # Blocked before the first thread starts, and waited for: no handler ever runs, so none can meet a held lock.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        daemon = self._daemon
        self._web.open()
        daemon.start()
        try:
            daemon.threads.start("settings", self._watcher)
            self._control.start()
            daemon.threads.start("control socket", self._control)
            self._web.start()
            daemon.threads.start("observer", self._collector)
            while self._wait() not in STOPPING_SIGNALS:
                pass
        finally:
            self._notifier.stopping()
            stuck = daemon.stop()
        if daemon.threads.failure:
            raise daemon.threads.failure
        _log.info("stopped")
        return stuck

    def reload_soon(self) -> None:
        """Let the main thread reload, from any thread."""
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGHUP)

    def _answer(self, environment: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        return self._loaded_application()(environment, start_response)

    def _loaded_application(self) -> "WSGIApplication":
        with self._loading:
            if self._application is None:
                # Not at the start, since connecting to the control planes must not wait for so much to be loaded.
                from kuma_sd.service.http_app import application_of  # noqa: PLC0415

                self._application = application_of(
                    self._daemon, self._collector, self.reload_soon, lambda: self._settings.web.enable_lifecycle
                )
            return self._application

    def _wait(self) -> int | None:
        """Wait for a signal and obey it; returns which it was, or None when it was time to look around."""
        received = signal.sigtimedwait(SIGNALS, self._tick if self._ready else 0.05)
        if received is None:
            self._look_around()
        elif received.si_signo == signal.SIGHUP:
            self._reload()
        return received and received.si_signo

    def _look_around(self) -> None:
        daemon, notifier = self._daemon, self._notifier
        self._collector.main_thread_moves()
        if not self._ready and daemon.settled:
            self._ready = True
            notifier.ready(daemon.summary)
            # Before somebody installs another version of it beneath us.
            self._loaded_application()
        elif self._ready:
            notifier.status(daemon.summary)
            give_back()
            # The pipeline took what was put for it at the last look, so it moves.
            if daemon.pipeline.status.beat >= self._beat:
                notifier.alive()
        self._beat = time.monotonic()
        daemon.pipeline.mailbox.put("beat", lambda: None)

    def _reload(self) -> None:
        self._notifier.reloading()
        try:
            settings = self._reread()
            with self._web.changing(settings.web):
                if settings == self._settings:
                    _log.info("the settings were read again, nothing changed")
                else:
                    self._daemon.reload(settings)
            self._settings = settings
            self._watcher.follow(_files_of(settings))
        except KumaSDError as error:
            self._collector.reloaded(str(error))
            _log.error("the settings were not reloaded, the old ones stay: %s", error)
        else:
            self._collector.reloaded()
        self._notifier.ready(self._daemon.summary)


def _files_of(settings: Settings) -> Iterator[Path]:
    """Yield the files that settings were read from."""
    if config := getattr(settings.arguments, "config", None):
        yield Path(config)
    instances: list[ControlPlaneSettings | OutputSettings | TransformSettings] = [
        *settings.control_planes,
        *settings.outputs,
    ]
    instances += [transform for output in settings.outputs for transform in output.transforms]
    for options in [instance.options for instance in instances]:
        for field in dataclasses.fields(options):
            value = getattr(options, field.name)
            if isinstance(value, FileContent) and value.path:
                yield value.path
