"""Check whether the files that settings name are there, for `kuma-sd check`.

The daemon does not refuse them: they may come later, and it tries again.
"""

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from kuma_sd.core.errors import ConfigError
from kuma_sd.settings.model import Settings
from kuma_sd.settings.schema import CORE


def check_named_files(settings: Settings) -> None:
    """Reject files that cannot be read because nothing, or a directory, is at their path.

    Raises:
        ConfigError: with each of them, and its place in the settings.
    """
    # Control planes inherit options, so that several may name the same file.
    mistakes = dict.fromkeys([*_missing_files(settings), *_wrong_state_directory(settings)])
    if mistakes:
        raise ConfigError(*mistakes)


def _missing_files(settings: Settings) -> Iterator[str]:
    for effective in settings.effective:
        type_ = effective.option.type
        if not type_.reads_file or type_.repeated or not effective.value:
            continue
        if reason := _fault_of(Path(effective.value)):
            yield f"{effective.origin}: {effective.option.name} {effective.value!r} {reason}"


def _fault_of(path: Path) -> str:
    try:
        return "is a directory" if stat.S_ISDIR(path.stat().st_mode) else ""
    except (FileNotFoundError, NotADirectoryError):
        return "is not there"
    except OSError:
        # Where this user may not look, the daemon's may.
        return ""


def _wrong_state_directory(settings: Settings) -> Iterator[str]:
    path = settings.core.state_dir
    if os.path.lexists(path) and not path.is_dir():
        yield f"{settings.at(CORE, 'state-dir')}state-dir {str(path)!r} is no directory"
