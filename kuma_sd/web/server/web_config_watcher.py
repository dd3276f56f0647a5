"""Reload the web configuration when its files change, and reject one that silently reduces security."""

import ssl

from kuma_sd.core.errors import ConfigError
from kuma_sd.core.logger import Logger
from kuma_sd.system.file_watcher import FileWatcher
from kuma_sd.web.server.web_config import Reading, WebConfig

_log = Logger(__name__)


def check_losses(before: WebConfig, after: WebConfig) -> None:
    """Reject a web configuration that drops protection without saying so: the file may have been emptied by mistake.

    Args:
        before: the configuration in effect.
        after: the new configuration.

    Raises:
        ConfigError: protection would be dropped.
    """
    certificates = [
        config.tls is not None and config.tls.verify_mode is ssl.CERT_REQUIRED for config in (before, after)
    ]
    lost = {
        "basic_auth_users": ("users", "basic_auth_users: {}", before.authentication and not after.authentication),
        "tls_server_config": ("TLS", "tls_server_config: {}", before.tls and not after.tls),
        "client_auth_type": (
            "client certificates",
            "client_auth_type: NoClientCert",
            after.tls and certificates == [True, False],
        ),
    }
    for section, (what, said, is_lost) in lost.items():
        if is_lost and section not in after.declined:
            where = f"{after.path} says nothing of {what} any more" if after.path else "config-file in [web] is not set"
            raise ConfigError(
                f"{where}, while the listener has {what}; if it shall go on without, let the file say '{said}'"
            )
        if is_lost:
            _log.warning("the web configuration drops protection", dropped=what, path=after.path)


class WebConfigWatcher:
    """The current web configuration: read again when its file, or one that it names, changes.

    Args:
        config: the initial configuration.
    """

    def __init__(self, config: WebConfig) -> None:
        self._watcher = FileWatcher((), lambda _changed: self._reread())
        self.now = WebConfig()
        self.follow(config)

    def follow(self, config: WebConfig) -> None:
        """Apply a new configuration."""
        for note in config.notes:
            if note not in self.now.notes:
                _log.warning(note)
        if config.authentication and self.now.authentication:
            config.authentication.remember(self.now.authentication)
        self.now = config
        self._watcher.follow(config.files)

    def run(self) -> None:
        """Watch until closed."""
        self._watcher.run()

    def close(self) -> None:
        """End run(), from any thread."""
        self._watcher.close()

    def _reread(self) -> None:
        reading = Reading(self.now.path)
        try:
            config = reading.config()
            check_losses(self.now, config)
            self.follow(config)
        except ConfigError as error:
            _log.error("the web configuration was not reloaded, the old one stays", reason=error)
            # Also watch missing files, so that their creation is noticed.
            self._watcher.follow({*self.now.files, *reading.files})
        else:
            _log.info("reloaded the web configuration", path=self.now.path)
