"""The content that a simulated control plane serves."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from kuma_sd.simulator.encoders import Encoder

F = TypeVar("F", bound=Encoder)


class Content(ABC):
    """Content that changes, and that each protocol can encode."""

    def __init__(self) -> None:
        self._listeners: tuple[Callable[[], None], ...] = ()

    @abstractmethod
    def renderer(self, format_: Encoder) -> Callable[[], list[bytes]]:
        """Return a function that encodes the current resources; each call encodes only those that are new."""

    @property
    def catalog(self) -> Mapping[str, Any] | None:
        """The recorded catalog of the API server; None for a generated one."""
        return None

    def offered(self, formats: Mapping[str, F]) -> Mapping[str, F]:
        """Return the protocols, by transport, over which the content can be served.

        Raises:
            ConfigError: none of them can serve it.
        """
        return formats

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call the listener after each change, in the thread that made it."""
        self._listeners = (*self._listeners, listener)

    def unsubscribe(self, listener: Callable[[], None]) -> None:
        """Stop calling a listener."""
        self._listeners = tuple(other for other in self._listeners if other != listener)

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()
