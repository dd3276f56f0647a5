"""The public API for plugin authors, and nothing else."""

import importlib

# Type checkers take it for true. Importing it from typing would take most of the time before Ctrl-C is provided for.
TYPE_CHECKING = False

if TYPE_CHECKING:
    from kuma_sd.api import *  # noqa: F403 (the names are its own)
else:
    # Unseen by type checkers, which would take any name for one of the API.
    def __getattr__(name: str) -> object:
        """Load the module of a name when the name is asked for (PEP 562): every command imports this package."""
        api = importlib.import_module("kuma_sd.api")
        if name == "__all__":
            return api.__all__
        if name not in api.MODULE_OF_NAME:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return getattr(importlib.import_module(api.MODULE_OF_NAME[name]), name)
