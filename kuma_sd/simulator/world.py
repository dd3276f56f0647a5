"""Hold the dataplanes that a simulated control plane serves."""

import functools
import threading
import weakref
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from kuma_sd.simulator.content import Content
from kuma_sd.simulator.dataplane import Dataplane, DataplaneKey
from kuma_sd.simulator.encoders import Encoder


class World(Content):
    """Dataplanes that can be changed from any thread; each call is one change, whatever its size.

    Args:
        dataplanes: the dataplanes at the beginning.
    """

    def __init__(self, dataplanes: Iterable[Dataplane] = ()) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._dataplanes = {dataplane.key: dataplane for dataplane in dataplanes}
        # Weak, since each belongs to a control plane that may be deleted.
        self._views: weakref.WeakSet[_View] = weakref.WeakSet()

    def __len__(self) -> int:
        return len(self._dataplanes)

    @property
    def dataplanes(self) -> list[Dataplane]:
        """The current dataplanes."""
        with self._lock:
            return list(self._dataplanes.values())

    def add(self, *dataplanes: Dataplane) -> None:
        """Add dataplanes, or replace those of equal mesh and name."""
        with self._lock:
            self._put({dataplane.key: dataplane for dataplane in dataplanes})
        self._tell()

    def remove(self, *names: str, mesh: str = "default") -> None:
        """Remove dataplanes of one mesh.

        Raises:
            KeyError: there is none of such a name.
        """
        with self._lock:
            self._put(dict.fromkeys((mesh, name) for name in names))
        self._tell()

    def alter(self, name: str, mesh: str = "default", **facts: Any) -> None:  # noqa: ANN401 (the fields of Dataplane)
        """Change some facts of one dataplane.

        Args:
            name: its name.
            mesh: its mesh.
            **facts: fields of `Dataplane` and their new values.

        Raises:
            KeyError: there is none of this name.
        """
        with self._lock:
            self._put({(mesh, name): self._dataplanes[mesh, name]._replace(**facts)})
        self._tell()

    def replace(self, dataplanes: Iterable[Dataplane]) -> None:
        """Replace all dataplanes by others, in one change."""
        fresh = {dataplane.key: dataplane for dataplane in dataplanes}
        with self._lock:
            differing = {key: new for key, new in fresh.items() if self._dataplanes.get(key) != new}
            self._put(dict.fromkeys(self._dataplanes.keys() - fresh.keys()) | differing)
        self._tell()

    def clear(self) -> None:
        """Remove all dataplanes, as a restart with an empty store does."""
        self.replace(())

    def renderer(self, format_: Encoder) -> Callable[[], list[bytes]]:
        """Return a function that encodes the present dataplanes; each call encodes only those that changed."""
        view = _View(format_)
        with self._lock:
            view.stale.update(self._dataplanes)
            self._views.add(view)
        return functools.partial(self._render, view)

    def _render(self, view: "_View") -> list[bytes]:
        with self._lock:
            for key in view.stale:
                if key in self._dataplanes:
                    view.resources[key] = view.format.resource(self._dataplanes[key])
                else:
                    view.resources.pop(key, None)
            view.stale.clear()
            return list(view.resources.values())

    def _put(self, changes: Mapping[DataplaneKey, Dataplane | None]) -> None:
        """Apply changes; None removes. The caller must have the lock."""
        for key, dataplane in changes.items():
            if dataplane is None:
                del self._dataplanes[key]
            else:
                self._dataplanes[key] = dataplane
        for view in self._views:
            view.stale.update(changes)


class _View:
    """The world as encoded by one protocol at the last call."""

    def __init__(self, format_: Encoder) -> None:
        self.format = format_
        self.resources: dict[DataplaneKey, bytes] = {}
        self.stale: set[DataplaneKey] = set()
