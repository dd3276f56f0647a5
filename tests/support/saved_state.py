"""Save and restore targets, as a daemon does."""

from pathlib import Path

from kuma_sd.core.model import LastGoodTargets
from kuma_sd.state.restorer import Restored
from kuma_sd.state.saver import State
from kuma_sd.testing import CODEC, snapshot

ENDPOINTS = frozenset({"kuma:5676"})
NAMES = ("east", "west", "pipe", "folder")


def good(*names: str, name: str = "east", received: float = 1.0, file: str = "") -> LastGoodTargets:
    """Return what is saved of a control plane; its file has its name."""
    assignments = snapshot(*names, control_plane=name).assignments
    return LastGoodTargets(name, ENDPOINTS, assignments, received, file or name)


def restored(state: State) -> Restored:
    return state.restore(NAMES, {CODEC.name: CODEC}.__getitem__)


def write(state: State, *last_good: LastGoodTargets) -> None:
    """Save these, as the thread does."""
    for entry in last_good:
        state.save(entry)
    state._note(state.mailbox.take(0))
    state._write(state._pending)


def end(state: State) -> None:
    state.close()
    state.run()


def saved(directory: Path, *last_good: LastGoodTargets) -> None:
    """Save, as a daemon that ends does."""
    state = State(directory)
    restored(state)
    for entry in last_good:
        state.save(entry)
    end(state)
    assert not state.status.failing


def found(directory: Path) -> Restored:
    """Restore, as a daemon that starts and ends does."""
    state = State(directory)
    result = restored(state)
    end(state)
    return result


def files_in(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir() if not path.name.startswith((".", "kuma-sd.")))
