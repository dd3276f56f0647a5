"""Expected errors: one base class, one subclass per boundary. Each message is one line that says what to do."""

from collections.abc import Callable
from typing import ParamSpec, Self, TypeVar

from kuma_sd.core.resource_limits import exhausted_resource

P = ParamSpec("P")
T = TypeVar("T")
E = TypeVar("E", bound=BaseException)


class KumaSDError(Exception):
    """Base of all errors that kuma-sd expects; the command line prints them as one line, without a traceback."""

    _owner = ""
    _remark = ""

    def within(self, owner: str) -> Self:
        """Put the name of the instance that it concerns in front of the message.

        The error itself stays, with its class and attributes, which a copy of it would lose.

        Args:
            owner: the instance, like ``output yaml``.
        """
        self._owner = f"{owner}: {self._owner}"
        return self

    def remark(self, text: str) -> Self:
        """Put a remark behind the message; the error itself stays.

        Args:
            text: the remark.
        """
        self._remark = f"{self._remark}; {text}"
        return self

    def __str__(self) -> str:
        return self._owner + super().__str__() + self._remark


def failure_reason(error: BaseException) -> str:
    """Return why something failed: the message of an expected error, and the type of an unexpected one too."""
    if isinstance(error, KumaSDError):
        return str(error)
    return exhausted_resource(error) or f"unexpected {type(error).__name__}: {error}"


def if_unexpected(error: E | None) -> E | None:
    """Return an error whose traceback is worth showing; None for one that is expected, or a lack of resources."""
    return None if error is None or isinstance(error, KumaSDError) or exhausted_resource(error) else error


def without_frames(error: E) -> E:
    """Remove the traceback of an error, and the errors behind it, so that it can be kept.

    A traceback keeps every frame that the error passed alive, with all that these hold, such as the body of a response.
    A frame that holds the error too forms a cycle with it, which only the garbage collector frees; that runs rarely.
    """
    links: list[BaseException] = [error]
    while links:
        link = links.pop()
        links += [further for further in (link.__cause__, link.__context__) if further]
        link.__traceback__ = link.__cause__ = link.__context__ = None
    return error


class ConfigError(KumaSDError):
    """A setting is wrong. Raised by everything that reads settings, options or files they name.

    Args:
        *mistakes: one line each.
        option: the option that is wrong, if it is one of the instance whose code raises this: its place in the
            settings is put in front.
    """

    def __init__(self, *mistakes: str, option: str = "") -> None:
        super().__init__(*mistakes)
        self._mistakes = mistakes
        self.option = option

    @property
    def mistakes(self) -> tuple[str, ...]:
        """Each mistake in a line, with the instance that it concerns."""
        return tuple(f"{self._owner}{mistake}" for mistake in self._mistakes)

    def __str__(self) -> str:
        return "\n".join(self.mistakes)


class UsageError(ConfigError):
    """The command line itself is wrong: an unknown command or flag, or a missing argument."""


class Mistakes:
    """Collects mistakes in settings, so that all of them are reported at once."""

    def __init__(self) -> None:
        self._found: dict[str, ConfigError | PluginError] = {}

    def __bool__(self) -> bool:
        return bool(self._found)

    def attempt(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T | None:
        """Call a function and return its result; collect the mistakes that it raises and return None."""
        try:
            return work(*args, **kwargs)
        except (ConfigError, PluginError) as error:
            self.add(error)
        return None

    def add(self, error: "ConfigError | PluginError") -> None:
        """Collect the mistakes of an error."""
        mistakes = error.mistakes if isinstance(error, ConfigError) else (str(error),)
        self._found.update(dict.fromkeys(mistakes, error))

    def check(self) -> None:
        """Raise the collected mistakes, if there are any.

        Raises:
            PluginError: a plugin fails, and nothing else is wrong; it has its cause.
            ConfigError: with every mistake, each once.
        """
        if len(self._found) == 1 and isinstance(error := next(iter(self._found.values())), PluginError):
            raise error
        if self._found:
            raise ConfigError(*self._found)


class PluginError(KumaSDError):
    """A plugin cannot be found, loaded or created. The message names its distribution."""


class RetriedError(KumaSDError):
    """An attempt failed, and the daemon retries with back-off. Base of the errors of sources and outputs.

    Args:
        message: what happened.
        retry_after: the minimum wait that the server asked for, in seconds.
    """

    def __init__(self, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class SourceError(RetriedError):
    """A control plane cannot be reached, or its response cannot be read. The daemon retries with back-off."""


class ConnectionClosedError(SourceError):
    """A connection that had brought a response was closed, perhaps by a gateway. Restored at once, the contact goes on.

    Args:
        message: what happened.
        orderly: it was closed between two responses, or by us: that says nothing about the control plane.
    """

    def __init__(self, message: str, *, orderly: bool = False) -> None:
        super().__init__(message)
        self.orderly = orderly


class TransformError(KumaSDError):
    """A label set cannot be transformed or rendered. The target keeps its previous result."""


class NotReceivedError(TransformError):
    """A target is only known from an earlier publication, so there is nothing to convert.

    Args:
        message: what happened.
        place: its address, scheme and path as they were published.
    """

    def __init__(self, message: str, place: tuple[str, str, str]) -> None:
        super().__init__(message)
        self.place = place


class ResourceError(KumaSDError):
    """A resource of this process or machine is exhausted."""


class OutputError(RetriedError):
    """A publication cannot be delivered. The daemon retries the newest one with back-off."""
