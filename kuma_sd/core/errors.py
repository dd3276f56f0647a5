"""One base error, one subclass per boundary. Each message is one clear line that says what to do about it."""


class KumaSDError(Exception):
    """Base of all errors that kuma-sd expects; the command line prints them as one line, without a traceback."""


class ConfigError(KumaSDError):
    """A setting is wrong. Raised by everything that reads settings, options or files they name."""


class PluginError(KumaSDError):
    """A plugin cannot be found, loaded or made. The message names its distribution."""


class SourceError(KumaSDError):
    """A control plane cannot be reached, or what it says cannot be understood. The daemon backs off and tries again.

    Args:
        message: what happened.
        retry_after: how long the server wants to be left alone, in seconds.
    """

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class TransformError(KumaSDError):
    """A label set cannot be transformed or rendered. The target's previous result stays."""


class OutputError(KumaSDError):
    """A publication cannot be delivered. The daemon backs off and tries the newest again."""
