"""Check whether the files that settings name can be read, for `kuma-sd check`.

The daemon does not refuse them: they may come later, and it tries again.
"""

from collections.abc import Iterator
from pathlib import Path

from kuma_sd.core.errors import ConfigError
from kuma_sd.core.regular_file import read_regular
from kuma_sd.settings.model import Settings


def check_named_files(settings: Settings, *, as_daemon: bool) -> None:
    """Reject files that cannot be read, by the judgement of those who read them.

    Args:
        settings: the settings.
        as_daemon: whether this user is the daemon's; if not, it does not matter what this process may read.

    Raises:
        ConfigError: with each of them, and its place in the settings.
    """
    # Control planes inherit options, so that several may name the same file.
    mistakes = dict.fromkeys(_unreadable_files(settings, as_daemon=as_daemon))
    if mistakes:
        raise ConfigError(*mistakes)


def _unreadable_files(settings: Settings, *, as_daemon: bool) -> Iterator[str]:
    for effective in settings.effective:
        type_ = effective.option.type
        if not type_.reads_file or type_.repeated or not effective.value:
            continue
        if "\n" in effective.value or effective.value.startswith("-----BEGIN"):
            yield f"{effective.origin}: {effective.option.name} needs the path of a file, not its content"
        elif reason := _fault_of(Path(effective.value), as_daemon=as_daemon):
            yield f"{effective.origin}: {effective.option.name} {effective.value!r} {reason}"


def _fault_of(path: Path, *, as_daemon: bool) -> str:
    try:
        read_regular(path)
    except (FileNotFoundError, NotADirectoryError):
        return "is not there"
    except IsADirectoryError:
        return "is a directory"
    except PermissionError as error:
        # Where this user may not look, the daemon's may.
        return f"cannot be read: {error.strerror}" if as_daemon else ""
    except OSError as error:
        return f"cannot be read: {error.strerror}"
    return ""
