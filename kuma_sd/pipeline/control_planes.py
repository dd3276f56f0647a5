"""Keep the control planes of the settings, and those that are leaving, through reloads and restarts."""

import hashlib
import itertools
from collections.abc import Callable, Iterable, Sequence

from kuma_sd.core.logger import Logger
from kuma_sd.core.model import LastGoodTargets, Snapshot, SourceEvent
from kuma_sd.pipeline.control_plane import ControlPlane, ControlPlaneConfig
from kuma_sd.pipeline.control_plane_matching import match
from kuma_sd.pipeline.guard import FOREVER

_log = Logger(__name__)

REMEMBERED_SECONDS = 86400.0
"""How long a removed control plane is remembered."""


class ControlPlanes:
    """The control planes of the settings, matched one to one with those of the settings before.

    A control plane that was removed from the settings is leaving. Its targets stay until each control plane that was
    added instead has responded or, after ``start_wait``, at least one with a list that is not empty. If none was added,
    they go immediately. Configurations that follow each other within ``start_wait`` count as one, since an edit may
    take several steps.

    Args:
        forget: called with the file of a control plane that is gone.
    """

    def __init__(self, forget: Callable[[str], None] = lambda _file: None) -> None:
        self.configured: dict[str, ControlPlane] = {}
        self.leaving: list[ControlPlane] = []
        self._forget = forget
        self._left: list[tuple[float, ControlPlane]] = []
        self._by_source: dict[int, ControlPlane] = {}
        self._instead: list[ControlPlane] = []
        self._patience_ends = -FOREVER

    @property
    def all(self) -> list[ControlPlane]:
        """All control planes whose targets are published, by name."""
        return sorted([*self.configured.values(), *self.leaving], key=lambda control_plane: control_plane.config.name)

    def restore(
        self, last_good: Iterable[LastGoodTargets], now: float, wall: float, removed: Iterable[LastGoodTargets] = ()
    ) -> None:
        """Start with the control planes from before a restart; configure() must follow.

        Args:
            last_good: the last good targets of each.
            now: the current time, in monotonic seconds.
            wall: the current time, in seconds of ``time.time()``.
            removed: the last good targets of those that were removed from the settings before.
        """
        self.leaving += [_restored(saved, now, wall) for saved in last_good]
        self._left += [(now, _restored(saved, now, wall)) for saved in removed]

    def configure(self, configs: Sequence[ControlPlaneConfig], start_wait: float, now: float) -> dict[str, str]:
        """Apply other settings.

        Args:
            configs: the configuration of each control plane.
            start_wait: how long leaving control planes stay for new ones that do not respond, in seconds.
            now: the current time, in monotonic seconds.

        Returns:
            The new name of each renamed control plane, by the name under which it was published last.
        """
        found = self._match(configs)
        leaving = [control_plane for control_plane in self.all if control_plane not in found.values()]
        self._left = [
            (when, control_plane) for when, control_plane in self._left if control_plane not in found.values()
        ]
        new = {config: ControlPlane(config, now) for config in configs if config not in found}
        for config, control_plane in found.items():
            control_plane.configure(config, now)
        self.configured = {config.name: (found | new)[config] for config in configs}
        self._by_source = {config.source: self.configured[config.name] for config in configs}
        self._name_files(leaving)
        if now >= self._patience_ends and not self.leaving:
            self._instead = []
        self._let_leave(leaving, list(new.values()), now + start_wait)
        # Those that are leaving too: they may have been renamed at a start, and not be published since.
        names = [(control_plane.published_as, control_plane.config.name) for control_plane in self.all]
        self._dismiss(now)
        return {before: name for before, name in names if before != name}

    def take(self, source: int, event: SourceEvent, now: float) -> None:
        """Hand an event to the control plane of a source; events of replaced sources are dropped."""
        control_plane = self._by_source.get(source)
        if control_plane is None:
            return
        if isinstance(event, Snapshot):
            control_plane.take(event, now)
        else:
            control_plane.lose_contact(event)

    def tick(self, now: float) -> None:
        """Do what is due."""
        for control_plane in self.configured.values():
            control_plane.tick(now)
        self._dismiss(now)

    def accept(self, name: str | None = None) -> None:
        """Release the held targets, of one control plane or of all."""
        for control_plane in self.configured.values():
            if name is None or control_plane.config.name == name:
                control_plane.accept()

    def note_published_names(self) -> None:
        """Record that everything is published under the current names."""
        for control_plane in self.all:
            control_plane.published_as = control_plane.config.name

    def deadline(self, now: float) -> float:
        """Return when tick() must be called next even if nothing happens, in monotonic seconds."""
        times = [control_plane.deadline(now) for control_plane in self.configured.values()]
        if self.leaving and now < self._patience_ends:
            times.append(self._patience_ends)
        return min(times, default=FOREVER)

    def _match(self, configs: Sequence[ControlPlaneConfig]) -> dict[ControlPlaneConfig, ControlPlane]:
        """Match the configurations with the known control planes, those of the last settings first.

        One that was removed before it ever answered is as new as if it had never been there: others wait for it.
        """
        found: dict[ControlPlaneConfig, ControlPlane] = {}
        leaving = [control_plane for control_plane in self.leaving if control_plane.known]
        # One without endpoints matches by name alone, which is right only at a start.
        left = [control_plane for _, control_plane in self._left if control_plane.identity.endpoints]
        for candidates in (self.configured.values(), leaving, left):
            wanted = {config: config.identity for config in configs if config not in found}
            found |= match({control_plane: control_plane.identity for control_plane in candidates}, wanted)
        return found

    def _name_files(self, leaving: Iterable[ControlPlane]) -> None:
        """Give each control plane its own file, which it keeps. One that is known from an output alone has none yet."""
        every = [*self.configured.values(), *leaving]
        taken = {control_plane.file for control_plane in [*every, *(left for _, left in self._left)]}
        for control_plane in every:
            if not control_plane.file:
                control_plane.file = next(name for name in _file_names(control_plane.config) if name not in taken)
                taken.add(control_plane.file)

    def _let_leave(self, leaving: list[ControlPlane], new: list[ControlPlane], patience_ends: float) -> None:
        for control_plane in leaving:
            if control_plane.published and control_plane not in self.leaving and new:
                _log.info(
                    "removed from the settings; its targets stay until the new control planes answered",
                    control_plane=control_plane.config.title,
                    targets=len(control_plane.published),
                    new=", ".join(other.config.title for other in new),
                )
        self.leaving = leaving
        present = self.configured.values()
        self._instead = [control_plane for control_plane in self._instead if control_plane in present] + new
        self._patience_ends = patience_ends if new else self._patience_ends

    def _dismiss(self, now: float) -> None:
        """Drop the leaving control planes once they may go; they are remembered for a day, in case they come back."""
        if self._left and now - self._left[0][0] > REMEMBERED_SECONDS:
            del self._left[0]
        if not self.leaving:
            return
        answered = all(control_plane.known for control_plane in self._instead)
        if answered or (now >= self._patience_ends and any(control_plane.published for control_plane in self._instead)):
            for control_plane in self.leaving:
                self._forget(control_plane.file)
                if control_plane.known:
                    self._left.append((now, control_plane))
            self.leaving = []
            self._instead = []


def _restored(saved: LastGoodTargets, now: float, wall: float) -> ControlPlane:
    config = ControlPlaneConfig(saved.name, saved.name or "(unnamed)", saved.configured)
    control_plane = ControlPlane(config, now)
    control_plane.restore(saved, wall)
    return control_plane


def _file_names(config: ControlPlaneConfig) -> Iterable[str]:
    # Names have no dots, so that none looks like this.
    digest = hashlib.sha256(" ".join(sorted(config.endpoints)).encode()).hexdigest()[:16]
    name = config.name or f"unnamed.{digest}"
    yield name
    yield from (f"{name}.{number}" for number in itertools.count(2))
