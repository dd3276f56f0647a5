"""Load a plugin from a single file, if nobody but root and the daemon's user can have written it."""

import re
import sys
from pathlib import Path
from types import ModuleType

from kuma_sd.core.option_types import PATH, FileContent
from kuma_sd.core.options import OptionType
from kuma_sd.system.trust_rules import UntrustedError
from kuma_sd.system.trusted_files import open_code

LARGEST = 2**20
"""Maximum size of a plugin file, in bytes."""

# The name of the plugin, which may also be that of an instance.
_NAME = re.compile(r"[a-z][a-z0-9_-]*\.py")


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
        with open_code(path) as file:
            content = file.read(LARGEST + 1)
    except UntrustedError as error:
        raise ValueError(f"may hold anything, since {error.strerror}") from error
    except OSError as error:
        raise ValueError(f"cannot be read: {error.strerror}") from error
    if len(content) > LARGEST:
        raise ValueError("is larger than 1 MiB")
    return FileContent(path, content)


PLUGIN_FILE = OptionType("file", _read)
"""The type of an option that names a plugin file; an edit makes the value unequal."""
