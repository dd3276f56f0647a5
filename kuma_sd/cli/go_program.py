"""The ways of the Go program kuma-prometheus-sd where they differ, so that a unit that runs it needs no edit.

It took flags before the command as well, and applied the environment on top of them.
"""

from collections.abc import Sequence

from kuma_sd.settings.cli_parser import Program

# Its logs were files that it rotated itself, from 1.2.0 on.
_IGNORED = ("--log-output-path", "--log-max-size", "--log-max-age", "--log-max-retained-files")

PROGRAM = Program(
    name="kuma-prometheus-sd",
    environment_first=True,
    # It listened nowhere, and several of it may run on a machine.
    defaults={("file_sd", "path"): "kuma.file_sd.json", ("web", "listen-address"): ""},
    ignored_flags=_IGNORED,
)

COMMANDS_LIKE_GO = {"run": "follow the control planes and publish their targets", "version": "print the version"}


def command_first(words: Sequence[str]) -> list[str]:
    """Move the flags that stand before the command behind it; each has a value, after ``=`` or as the next word."""
    flags: list[str] = []
    rest = list(words)
    while rest and rest[0].startswith("--") and rest[0] not in ("--help", "--version"):
        count = 1 if "=" in rest[0] else 2
        flags, rest = [*flags, *rest[:count]], rest[count:]
    if rest[:1] == ["version"]:
        return rest
    # The flags keep their place in front of those behind the command: the last of two counts.
    return [*rest[:1], *flags, *rest[1:]]
