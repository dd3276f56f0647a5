"""Accept flags and variables of the Go program kuma-prometheus-sd, so that existing units need no edit.

It accepted flags before the command too, and its environment variables overrode flags.
"""

from collections.abc import Sequence

from kuma_sd.settings.cli_parser import Program

FLAGS = {("file_sd", "path"): "--output-file"}
"""Its other flags, by section and name of the option. --cp-address, --name, --api-version, --log-level are the same."""

VARIABLES = {
    "KUMA_MONITORING_ASSIGNMENT_CLIENT_URL": "KUMA_SD_CP_ADDRESS",
    "KUMA_CONTROL_PLANE_API_SERVER_URL": "KUMA_SD_CP_ADDRESS",
    "KUMA_MONITORING_ASSIGNMENT_CLIENT_NAME": "KUMA_SD_NAME",
    "KUMA_MONITORING_ASSIGNMENT_CLIENT_API_VERSION": "KUMA_SD_API_VERSION",
    "KUMA_PROMETHEUS_OUTPUT_FILE": "KUMA_SD_FILE_SD_PATH",
}
"""Its variables and the kuma-sd variables that override them; of two for one option the first has precedence."""

# From 1.2.0 on, it wrote log files and rotated them.
_IGNORED = ("--log-output-path", "--log-max-size", "--log-max-age", "--log-max-retained-files")

PROGRAM = Program(
    name="kuma-prometheus-sd",
    environment_first=True,
    # It had no listener, and several instances may run on one machine.
    defaults={("file_sd", "path"): "kuma.file_sd.json", ("web", "listen-address"): ""},
    ignored_flags=_IGNORED,
)

COMMANDS_LIKE_GO = {"run": "follow the control planes and publish their targets", "version": "print the version"}


def command_first(words: Sequence[str]) -> list[str]:
    """Move flags from before the command to after it; each has a value, after ``=`` or as the next word."""
    flags: list[str] = []
    rest = list(words)
    while rest and rest[0].startswith("--") and rest[0] not in ("--help", "--version"):
        count = 1 if "=" in rest[0] else 2
        flags, rest = [*flags, *rest[:count]], rest[count:]
    if rest[:1] == ["version"]:
        return rest
    # Keep them before the command's other flags: the last of two equal flags has precedence.
    return [*rest[:1], *flags, *rest[1:]]
