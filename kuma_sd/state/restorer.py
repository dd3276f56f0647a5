"""Restore the last good targets of each control plane from disk at the start."""

import time
from collections.abc import Callable, Collection

import msgspec

from kuma_sd.core.logger import Logger
from kuma_sd.core.model import Codec, LastGoodTargets
from kuma_sd.core.option_types import show_duration
from kuma_sd.state import snapshot_file
from kuma_sd.state.directory import StateDirectory
from kuma_sd.state.file_names import SavedFile
from kuma_sd.state.quarantine_file import NONE_QUARANTINED, QuarantinedGroups
from kuma_sd.system.trust_rules import UntrustedError

_log = Logger(__name__)


class Restored(msgspec.Struct, frozen=True):
    """The last good targets found at the start.

    Args:
        last_good: those of each control plane in the settings.
        removed: those of control planes that were removed from the settings within the last day.
        stopped: when the last process stopped that saved everything at its end, in seconds of ``time.time()``; None if
            there is no such time. Then changes may be missing.
        quarantined: what was published of quarantined targets.
    """

    last_good: tuple[LastGoodTargets, ...] = ()
    removed: tuple[LastGoodTargets, ...] = ()
    stopped: float | None = None
    quarantined: QuarantinedGroups = NONE_QUARANTINED

    @property
    def exact(self) -> bool:
        """Whether everything was saved; otherwise at least the last second of changes may be missing."""
        return self.stopped is not None


def restore(directory: StateDirectory, names: Collection[str], codec: Callable[[str], Codec]) -> Restored:
    """Read the saved targets of a locked directory; unreadable files are set aside and logged.

    Args:
        directory: the directory.
        names: the names of the control planes in the settings.
        codec: returns the codec of a name; raises KeyError for an unknown one.
    """
    directory.remove_leftovers()
    stopped = directory.take_stopped(time.time())
    files = [file for file in directory.saved() if _is_ours(directory, file, names)]
    # Two control planes have the same name if the process was killed while they swapped their names.
    last_good: dict[object, LastGoodTargets] = {}
    removed: dict[object, LastGoodTargets] = {}
    for file in files:
        if found := _read(directory, file, codec):
            kept = removed if file.state == "removed" else last_good
            identity = found.name, found.endpoints | found.configured
            if identity not in kept or kept[identity].received < found.received:
                kept[identity] = found
    return Restored(tuple(last_good.values()), tuple(removed.values()), stopped)


def _read(directory: StateDirectory, file: SavedFile, codec: Callable[[str], Codec]) -> LastGoodTargets | None:
    try:
        with directory.open(file) as content:
            found = snapshot_file.read_last_good(content, file.name, codec)
    except UntrustedError as error:
        # Left where it is: others may need it.
        _log.warning("a saved snapshot is not believed, nothing is restored from it", reason=error.strerror)
        return None
    except (Exception, SystemExit) as error:  # noqa: BLE001 (whatever a file holds, the daemon starts; and codecs are plugins')
        _set_aside(directory, file, error)
        return None
    if file.state != "removed":
        _log.info(
            "restored the last good targets",
            control_plane=found.name or "(unnamed)",
            targets=len(found.assignments),
            age=show_duration(max(0, round(time.time() - found.received))) if found.received else None,
        )
    return found


def _set_aside(directory: StateDirectory, file: SavedFile, error: BaseException) -> None:
    expected = isinstance(error, ValueError | OSError)
    why = str(error) if expected else f"cannot be read: unexpected {type(error).__name__}: {error}"
    if isinstance(error, OSError):
        why = f"cannot be read: {error.strerror}"
    aside = directory.set_aside(file)
    _log.warning(
        "nothing is restored from a file",
        file=directory.path_of(file),
        reason=why,
        renamed_to=aside.name if aside else None,
        error=None if expected else error,
    )


def _is_ours(directory: StateDirectory, file: SavedFile, names: Collection[str]) -> bool:
    """Tell whether a file belongs to a control plane in the settings, or begins like a saved snapshot."""
    if file.name in names or file.name.startswith(snapshot_file.UNNAMED):
        return True
    try:
        with directory.open(file) as content:
            return content.read(len(snapshot_file.MAGIC)) == snapshot_file.MAGIC
    except OSError:
        return False
