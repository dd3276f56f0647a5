"""Check the settings: everything is built as `kuma-sd run` builds it, but nothing is connected, claimed or written.

So it can run beside a daemon, with the settings that the daemon shall get next. Exits with 2 and says what is wrong,
and where, if anything is.

Example:
  kuma-sd check -c /etc/kuma-sd.conf
"""

import argparse

from kuma_sd.assembly import assemble
from kuma_sd.settings import Settings
from kuma_sd.wording import counted

TAKES_SETTINGS = True


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add nothing: this command has no flags of its own."""


def execute(arguments: argparse.Namespace, settings: Settings | None) -> int:  # noqa: ARG001 (the contract of commands)
    """Build everything."""
    assert settings is not None
    assembly = assemble(settings)
    for _, source in assembly.sources.values():
        source.close()
    for _, output in assembly.outputs.values():
        output.close()
    print(f"OK: {counted(len(assembly.sources), 'control plane')}, {counted(len(assembly.outputs), 'output')}")
    return 0
