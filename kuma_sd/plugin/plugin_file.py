"""Load a plugin from a single file, if nobody but root and the daemon's user can have written it."""

import os
import pwd
import re
import stat
import sys
from pathlib import Path
from types import ModuleType

from kuma_sd.core.option_types import PATH, FileContent
from kuma_sd.core.options import OptionType
from kuma_sd.core.regular_file import open_regular

LARGEST = 2**20
"""Maximum size of a plugin file, in bytes."""

# The name of the plugin, which may also be that of an instance.
_NAME = re.compile(r"[a-z][a-z0-9_-]*\.py")

_WRITABLE_BY_OTHERS = stat.S_IWGRP | stat.S_IWOTH


def load_plugin_file(file: FileContent) -> ModuleType:
    """Run a plugin file and return its module.

    What was read and checked is run, not what the path may lead to by now.

    Args:
        file: the path and the source text.

    Raises:
        Exception: whatever the file raises.
    """
    assert file.path is not None
    module = ModuleType(f"kuma_sd_plugin_file_{file.path.stem}")
    module.__file__ = str(file.path)
    code = compile(file.content, str(file.path), "exec")
    # Dataclasses look up their module by its name.
    sys.modules[module.__name__] = module
    exec(code, vars(module))  # noqa: S102 (a file that the settings name, and that only trusted users can have written)
    return module


def _read(text: str) -> FileContent:
    path: Path = PATH.parse(text)
    if not _NAME.fullmatch(path.name):
        raise ValueError("is no name for a plugin file; one is like my_plugin.py")
    try:
        with open_regular(path) as file:
            _check_trust(os.fstat(file.fileno()), path, "")
            # The directory of the link, and the one of the file that it leads to.
            for directory in dict.fromkeys((path.absolute().parent, Path(os.path.realpath(path)).parent)):
                _check_trust(directory.stat(), directory, f"is in {str(directory)!r}, which ")
            content = file.read(LARGEST + 1)
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error
    if len(content) > LARGEST:
        raise ValueError("is larger than 1 MiB")
    return FileContent(path, content)


def _check_trust(status: os.stat_result, path: Path, what: str) -> None:
    trusted = 0, os.geteuid()
    if status.st_uid not in trusted:
        raise ValueError(
            f"{what}belongs to {_name_of(status.st_uid)}, so that it may hold anything; "
            f"it must belong to {' or '.join(dict.fromkeys(map(_name_of, trusted)))}"
        )
    if stat.S_IMODE(status.st_mode) & _WRITABLE_BY_OTHERS:
        import shlex  # noqa: PLC0415 (late, since this is rare)

        command = f"chmod go-w {shlex.quote(str(path))}"
        raise ValueError(f"{what}can be written by other users, so that it may hold anything; run: {command}")


def _name_of(user: int) -> str:
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"uid {user}"


PLUGIN_FILE = OptionType("file", _read)
"""The type of an option that names a plugin file; an edit makes the value unequal."""
