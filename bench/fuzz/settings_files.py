"""Settings files: whatever they hold, a command shows no secret and ends with one of its statuses."""

import contextlib
import io
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from target import BETWEEN, CANARY, Target, assert_hidden

from kuma_sd.cli.main import main
from kuma_sd.core.options import Option, options_of
from kuma_sd.plugin import manager
from kuma_sd.plugin.manager import Plugins
from kuma_sd.settings.schema import CoreOptions, WebOptions

# What is installed does not change, and looking it up takes most of the time.
PLUGINS = Plugins()
manager.Plugins = lambda: PLUGINS  # type: ignore[assignment,misc]

# In memory, since it is written for each input.
PATH = Path(tempfile.mkdtemp(dir="/dev/shm")) / "kuma-sd.conf"


class SecretOption:
    """An option that is a secret, or may hold one.

    Args:
        kind: ``source``, ``output`` or ``transform``.
        plugin: the plugin's name.
        option: its declaration.
    """

    def __init__(self, kind: str, plugin: str, option: Option[Any]) -> None:
        self.name = option.name
        self._scheme = "" if option.type.secret else (option.default and option.default.scheme) or "http"
        self._start = f"cp-address = {plugin}://a" if kind == "source" else f"{kind} = fuzz={plugin}\n[fuzz]"

    def written(self, secret: str) -> str:
        """Return settings with this secret."""
        value = f"{self._scheme}://user:{secret}@host" if self._scheme else secret
        return f"[kuma-sd]\n{self._start}\n{self.name} = {value}\n"


def secret_options() -> Iterator[SecretOption]:
    """Yield every option that is or may hold a secret, as the plugins declare them."""
    kinds = {"source": PLUGINS.source, "output": PLUGINS.output, "transform": PLUGINS.transform}
    for available in PLUGINS.available():
        for option in options_of(kinds[available.kind](available.name).options):
            if option.type.secret or option.type.may_hold_secret:
                yield SecretOption(available.kind, available.name, option)


OPTIONS = list(secret_options())


def take(data: bytes) -> None:
    """Check and show settings: the number of a secret option, what surrounds its secret, and further lines."""
    number, left, right, further = (data.split(BETWEEN, 3) + [b""] * 4)[:4]
    # Another line is another option, which may be shown.
    secret = b"%b%b%b" % (left, CANARY.encode(), right)
    written = OPTIONS[sum(number) % len(OPTIONS)].written(secret.replace(b"\n", b" ").decode("latin-1"))
    PATH.write_bytes(written.encode("latin-1") + further)
    # What is refused is refused by both in the same words.
    if _run("check") == 0:
        _run("config")


def _run(command: str) -> int:
    shown = io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
        status = main([command, "-c", str(PATH)])
    assert status in (0, 2), f"{command} ended with {status}: {shown.getvalue()}"
    assert_hidden(shown.getvalue())
    return status


def seeds() -> Iterable[bytes]:
    """Return one input for each secret option, and one with many others."""
    for number in range(len(OPTIONS)):
        yield BETWEEN.join([bytes([number]), b"pa", b"ss", b"[web]\nlisten-address =\n"])
    yield BETWEEN.join([b"", b"", b"", b"cp-address =\n  a=http://a\n  b=grpc://b\noutput = file_sd x=http_sd\n[a]\n"])


def words() -> Iterable[bytes]:
    """Return the names of options, and what separates values."""
    names = {option.name for options in (CoreOptions, WebOptions) for option in options_of(options)}
    yield from (name.encode() for name in names | {option.name for option in OPTIONS})
    yield from (b"[kuma-sd]", b"[web]", b"[file_sd]", b"://", b" = ", b"%zz", b"@", b"\x85", b"\xe2\x80\xa8", BETWEEN)


TARGETS = {"settings": lambda: Target(take, seeds, words(), lambda: shutil.rmtree(PATH.parent))}
