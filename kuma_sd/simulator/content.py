"""What a simulated control plane can serve."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from kuma_sd.simulator.encoders import Encoder

F = TypeVar("F", bound=Encoder)


class Content(ABC):
    """Something that changes, and that each protocol can write."""

    def __init__(self) -> None:
        self._listeners: tuple[Callable[[], None], ...] = ()

    @abstractmethod
    def renderer(self, format_: Encoder) -> Callable[[], list[bytes]]:
        """Return a function that encodes the present resources; each call encodes only what is new to it."""

    @property
    def catalog(self) -> Mapping[str, Any] | None:
        """The catalog of the API server that belongs to it; None for an invented one."""
        return None

    def offered(self, formats: Mapping[str, F]) -> Mapping[str, F]:
        """Return those protocols, by transport, that it can be served over.

        Raises:
            ConfigError: it can be served over none of them.
        """
        return formats

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call the listener after each change, in the thread that made it."""
        self._listeners = (*self._listeners, listener)

    def unsubscribe(self, listener: Callable[[], None]) -> None:
        """Call it no more."""
        self._listeners = tuple(other for other in self._listeners if other != listener)

    def _tell(self) -> None:
        for listener in self._listeners:
            listener()
