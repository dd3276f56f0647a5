"""Write the flags that lead to the same settings, for commands that users are told to run next."""

import shlex

from kuma_sd.cli import main
from kuma_sd.core.secret import MASK
from kuma_sd.settings.model import Settings


def settings_flags(settings: Settings) -> str:
    """Return the flags that lead to the same settings, with a leading space; empty for the default file alone.

    A flag whose value holds a secret is left out.
    """
    file = ["-c", settings.file] if settings.file not in ("", main.DEFAULT_FILE) else []
    flags = [
        f"{effective.origin.removeprefix('flag ')}={effective.value}"
        for effective in settings.effective
        if effective.origin.startswith("flag ") and MASK not in effective.value
    ]
    # Control planes inherit options, so that several have the same flag.
    return "".join(f" {shlex.quote(word)}" for word in [*file, *dict.fromkeys(flags)])
