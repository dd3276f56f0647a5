"""The web configuration of the moment, and what a new one may not take away."""

import logging
import ssl

from kuma_sd.core.errors import ConfigError
from kuma_sd.system.file_watcher import FileWatcher
from kuma_sd.web.server.web_config import Reading, WebConfig

_log = logging.getLogger(__name__)


def check_losses(before: WebConfig, after: WebConfig) -> None:
    """Refuse a web configuration that opens what was closed, unless it says so: it may have been emptied by mistake.

    Args:
        before: the one in effect.
        after: the one that was read.

    Raises:
        ConfigError: it would.
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
            _log.warning("the web listener goes on without %s, as %s says", what, after.path)


class LiveConfig:
    """The web configuration of the moment: read again when its file, or one that it names, changes.

    Args:
        config: what to begin with.
    """

    def __init__(self, config: WebConfig) -> None:
        self._watcher = FileWatcher((), lambda _changed: self._reread())
        self.now = WebConfig()
        self.follow(config)

    def follow(self, config: WebConfig) -> None:
        """Go on with another one."""
        for note in config.notes:
            if note not in self.now.notes:
                _log.warning("%s", note)
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
            _log.error("the web configuration was not read again, the old one stays: %s", error)
            # Also what is missing, so that it is seen when it comes.
            self._watcher.follow({*self.now.files, *reading.files})
        else:
            _log.info("read the web configuration %s again", self.now.path)
