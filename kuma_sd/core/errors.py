"""One base error, one subclass per boundary. Each message is one clear line that says what to do about it."""

from collections.abc import Callable
from typing import ParamSpec, Self, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class KumaSDError(Exception):
    """Base of all errors that kuma-sd expects; the command line prints them as one line, without a traceback."""

    _owner = ""

    def within(self, owner: str) -> Self:
        """Put the name of the instance that it concerns in front of the message.

        The error itself stays, with its class and attributes, which a copy of it would lose.

        Args:
            owner: the instance, like ``output yaml``.
        """
        self._owner = f"{owner}: {self._owner}"
        return self

    def __str__(self) -> str:
        return self._owner + super().__str__()


class ConfigError(KumaSDError):
    """A setting is wrong. Raised by everything that reads settings, options or files they name.

    Args:
        *mistakes: one line each.
    """

    def __init__(self, *mistakes: str) -> None:
        super().__init__(*mistakes)
        self._mistakes = mistakes

    @property
    def mistakes(self) -> tuple[str, ...]:
        """Each mistake in a line, with the instance that it concerns."""
        return tuple(f"{self._owner}{mistake}" for mistake in self._mistakes)

    def __str__(self) -> str:
        return "\n".join(self.mistakes)


class UsageError(ConfigError):
    """The command line itself is wrong: an unknown command or flag, or a missing argument."""


class Mistakes:
    """Collects mistakes in settings, so that a user is told all of them at once."""

    def __init__(self) -> None:
        self._found: dict[str, None] = {}

    def attempt(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """Do work, and return its result; None when it finds mistakes, which are collected."""
        try:
            return work(*args, **kwargs)
        except ConfigError as error:
            self._found.update(dict.fromkeys(error.mistakes))
            return None

    def check(self) -> None:
        """Raise what was collected.

        Raises:
            ConfigError: with every mistake, each once.
        """
        if self._found:
            raise ConfigError(*self._found)


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


class NotReceivedError(TransformError):
    """A target is known from what was published alone, so that there is nothing to convert.

    Args:
        message: what happened.
        place: its address, scheme and path as they were published.
    """

    def __init__(self, message: str, place: tuple[str, str, str]) -> None:
        super().__init__(message)
        self.place = place


class OutputError(KumaSDError):
    """A publication cannot be delivered. The daemon backs off and tries the newest again."""
