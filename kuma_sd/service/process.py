"""The process around the daemon: signals, systemd and reload triggers."""

import dataclasses
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kuma_sd.core.logger import Logger
from kuma_sd.core.option_types import FileContent
from kuma_sd.pipeline.pipeline import BEAT_SECONDS
from kuma_sd.runtime.daemon import Daemon
from kuma_sd.runtime.status_collector import StatusCollector
from kuma_sd.service.reloader import Reloader, ReloadSteps
from kuma_sd.service.status_line import status_line
from kuma_sd.settings.default_control_socket import default_control_socket
from kuma_sd.settings.model import ControlPlaneSettings, OutputSettings, Settings, TransformSettings
from kuma_sd.system.descriptors import raise_descriptor_limit
from kuma_sd.system.file_watcher import FileWatcher
from kuma_sd.system.log_format import configure, drain, write_in_thread
from kuma_sd.system.memory import give_back
from kuma_sd.system.systemd import Notifier
from kuma_sd.system.threads import STOP_TIMEOUT
from kuma_sd.web.server.control_socket import ControlSocket
from kuma_sd.web.server.tcp_listeners import WebListeners

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_log = Logger(__name__)

STOPPING_SIGNALS = {signal.SIGTERM, signal.SIGINT}
SIGNALS = {*STOPPING_SIGNALS, signal.SIGHUP}

LONGEST_TICK = 30.0
"""Interval between status updates to systemd, in seconds, unless its watchdog requires a shorter one."""

STARTING_TICK = 0.05
"""Interval between checks whether the daemon is ready, in seconds."""

DRAIN_TIMEOUT = 0.2
"""Maximum wait at the end for log lines to be written, in seconds."""

NEED_A_RESTART = ("state_dir",)
"""Settings that take effect only at a start."""


class Service:
    """Runs a daemon until a signal ends it.

    Args:
        settings: the settings.
        reread: reads the settings again.

    Raises:
        ConfigError: options do not fit together.
        PluginError: a plugin cannot be created.
    """

    def __init__(self, settings: Settings, reread: Callable[[], Settings]) -> None:
        self._settings = settings
        self._started_with = settings.core
        self._daemon = Daemon(settings)
        self._notifier = Notifier()
        self._collector = StatusCollector(self._daemon)
        self._application: WSGIApplication | None = None
        self._loading = threading.Lock()
        self._control = ControlSocket(_control_socket_of(settings), self._answer)
        threads = self._daemon.threads
        self._web = WebListeners(self._answer, settings.web, threads.start, partial(threads.stop, STOP_TIMEOUT))
        steps = ReloadSteps(reread, self._apply, self._follow, self._notifier.reloading, self._reload_ended)
        self._reloader = Reloader(settings, steps)
        self._watcher = FileWatcher(_files_of(settings), lambda _changed: self._reloader.ask())
        self._tick = min(self._notifier.watchdog_interval or LONGEST_TICK, LONGEST_TICK)
        self._next_look = 0.0
        self._ready = False

    def run(self) -> Sequence[str]:
        """Run until SIGTERM or SIGINT, and reload at SIGHUP; must be called in the main thread.

        Returns:
            The names of threads that did not end in time, because a plugin blocks.

        Raises:
            KumaSDError: an address cannot be listened on.
            OutputError: an output cannot be started.
        """
        # Block signals before the first thread starts: no handler can interrupt code that holds a lock.
        signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
        raise_descriptor_limit()
        write_in_thread()
        try:
            return self._run()
        finally:
            drain(DRAIN_TIMEOUT)

    def _run(self) -> Sequence[str]:
        daemon = self._daemon
        daemon.threads.watch_others()
        self._web.open()
        daemon.start(give_up=lambda: not STOPPING_SIGNALS.isdisjoint(signal.sigpending()))
        try:
            daemon.threads.start("settings files", self._watcher)
            self._control.start()
            daemon.threads.start("control socket", self._control)
            self._web.start()
            daemon.threads.start("observer", self._collector)
            daemon.threads.start("settings", self._reloader)
            while self._wait() not in STOPPING_SIGNALS:
                pass
        finally:
            self._notifier.stopping()
            stuck = daemon.stop()
        if daemon.threads.failure:
            raise daemon.threads.failure
        _log.info("stopped")
        return stuck

    def _answer(self, environment: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        return self._loaded_application()(environment, start_response)

    def _loaded_application(self) -> "WSGIApplication":
        with self._loading:
            if self._application is None:
                # Imported late: connecting to the control planes must not wait for these modules.
                from kuma_sd.service.http_app import application_of  # noqa: PLC0415

                self._application = application_of(
                    self._daemon, self._collector, self._reloader.ask, lambda: self._settings.web.enable_lifecycle
                )
            return self._application

    def _wait(self) -> int | None:
        """Wait for a signal and handle it, or for the next periodic check; return the signal, or None."""
        received = signal.sigtimedwait(SIGNALS, max(0.0, self._next_look - time.monotonic()))
        if time.monotonic() >= self._next_look:
            # Also when many signals arrive.
            self._look_around()
            self._next_look = time.monotonic() + (self._tick if self._ready else STARTING_TICK)
        if received and received.si_signo == signal.SIGHUP:
            self._reloader.ask()
        return received and received.si_signo

    def _look_around(self) -> None:
        daemon, notifier = self._daemon, self._notifier
        self._collector.main_thread_moves()
        if not self._ready and daemon.settled:
            self._ready = True
            notifier.ready(status_line(daemon))
            # Load it now, before an upgrade replaces the files on disk.
            self._loaded_application()
        elif self._ready:
            notifier.status(status_line(daemon))
            give_back()
            if time.monotonic() - daemon.pipeline.status.beat <= 2 * BEAT_SECONDS:
                notifier.alive()

    def _apply(self, settings: Settings) -> None:
        with self._web.changing(settings.web):
            if settings == self._settings:
                _log.info("the settings are unchanged")
            else:
                self._daemon.reload(settings)
        before = self._settings
        self._settings = settings
        self._control.move(_control_socket_of(settings))
        configure(settings.core.log_level, settings.core.log_format)
        for warning in settings.warnings:
            _log.warning(warning)
        for name in NEED_A_RESTART:
            value = getattr(settings.core, name)
            if value not in (getattr(before.core, name), getattr(self._started_with, name)):
                _log.warning("a changed setting needs a restart", setting=name.replace("_", "-"))

    def _follow(self, settings: Settings) -> bool:
        return self._watcher.follow(_files_of(settings))

    def _reload_ended(self, failing: str) -> None:
        self._collector.reloaded(failing)
        self._daemon.events.reloaded(failing)
        self._notifier.ready(status_line(self._daemon))


def _control_socket_of(settings: Settings) -> Path:
    return settings.core.control_socket or default_control_socket(os.environ)


def _files_of(settings: Settings) -> Iterator[Path]:
    """Yield the files that settings were read from."""
    if config := getattr(settings.arguments, "config", None):
        yield Path(config)
    yield from (file.path for file in settings.core.plugin_file if file.path)
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
