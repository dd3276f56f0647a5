"""Show what new settings, or the control plane's present state, would add, remove and change in each output.

Examples:
  kuma-sd diff -c new.conf --exit-code
  kuma-sd diff -c kuma-sd.conf --from control-plane
  kuma-sd diff --from control-plane --cp-address http://kuma.internal:5676 --against kuma.file_sd.json

Changes, locks and writes nothing. Takes the targets of the running daemon, so that only the settings make a difference.
With --from control-plane it asks the control planes: then, for example, what the guard holds is shown as removed.

Compares with what the running daemon published last, or, if none runs, with the outputs' own files. --against compares
with any file for Prometheus's file_sd_configs.

Exit status: 0; with --exit-code 1 if there is a difference, and 2 or more after an error.
"""

import argparse
import contextlib
import itertools
import sys
import traceback
from collections.abc import Iterator, Sequence

from kuma_sd.cli.daemon_errors import naming
from kuma_sd.cli.main import argument_type
from kuma_sd.cli.published_targets import published
from kuma_sd.cli.received_targets import add_from, control_socket, receive
from kuma_sd.cli.render.diff import OutputDifference, as_json, as_text
from kuma_sd.cli.render.style import style
from kuma_sd.core.errors import ConfigError, KumaSDError, PluginError
from kuma_sd.core.model import Snapshot
from kuma_sd.core.option_types import NUMBER, PATH
from kuma_sd.core.text import did_you_mean
from kuma_sd.plugin.optional_interfaces import WritesFiles
from kuma_sd.prometheus.sd_files import selected
from kuma_sd.runtime.builder import Components, build
from kuma_sd.settings.model import OutputSettings, Settings
from kuma_sd.system.log_format import escape
from kuma_sd.telemetry.diff_without_keys import compare

TAKES_SETTINGS = True

SETTINGS_IN_HELP: tuple[str, ...] = ("control-socket",)

DETAILS = 50

UNEXPECTED = 3
"""The exit status of an unexpected error."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own flags."""
    parser.add_argument("--only", metavar="OUTPUT", help="only the output of this name")
    add_from(parser)
    parser.add_argument(
        "--against",
        type=argument_type(PATH),
        metavar="FILE",
        help="compare with this JSON or YAML file, which any program may have written",
    )
    parser.add_argument(
        "--limit",
        type=argument_type(NUMBER),
        metavar="N",
        help=f"how many targets are listed of each output (default: {DETAILS}, with --format json all)",
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="how to print it (default: text)")
    parser.add_argument("--exit-code", action="store_true", help="exit with 1 if there is a difference")


def execute(arguments: argparse.Namespace, settings: Settings | None) -> int:
    """Compare, and print the difference."""
    assert settings is not None
    if not arguments.exit_code:
        _show(arguments, settings)
        return 0
    try:
        return int(_show(arguments, settings))
    except (BrokenPipeError, ConfigError, PluginError):
        raise
    except KumaSDError as error:
        # 1, the exit status of other errors, means a difference here.
        raise ConfigError(str(error)) from error
    except Exception:  # noqa: BLE001 (its status would be 1 as well)
        traceback.print_exc()
        return UNEXPECTED


def _show(arguments: argparse.Namespace, settings: Settings) -> bool:
    if arguments.limit is not None and arguments.limit < 0:
        raise ConfigError("--limit must be at least 0")
    chosen = _chosen(arguments, settings.outputs)
    components = build(settings)
    with contextlib.closing(components), naming(settings.source):
        received = receive(arguments, settings, components)
        found = list(_differences(arguments, settings, components, chosen, received.snapshots))
    limit = arguments.limit
    if arguments.format == "json":
        print(as_json(received, found, limit))
    else:
        shown = style(sys.stdout)
        for line in as_text(received, found, DETAILS if limit is None else limit, shown):
            print(line)
        print(f"\n{shown.dim(escape(settings.source))}")
    return any(difference.exists for difference in found)


def _chosen(arguments: argparse.Namespace, outputs: Sequence[OutputSettings]) -> list[OutputSettings]:
    """Return the outputs to compare."""
    names = [output.name for output in outputs]
    if arguments.only not in (None, *names):
        suggestion = did_you_mean(arguments.only, names) or f"; there are {', '.join(names)}"
        raise ConfigError(f"there is no output '{arguments.only}' in these settings{suggestion}")
    if arguments.against and not arguments.only and len(outputs) > 1:
        raise ConfigError(f"a file can be compared with one output: name it, like --only {names[0]}")
    return [output for output in outputs if arguments.only in (None, output.name)]


def _differences(
    arguments: argparse.Namespace,
    settings: Settings,
    components: Components,
    chosen: Sequence[OutputSettings],
    snapshots: Sequence[Snapshot],
) -> Iterator[OutputDifference]:
    now = published(arguments.against, control_socket(settings))
    newest = max((snapshot.received for snapshot in snapshots), default=0.0)
    for chosen_output in chosen:
        chain, output = components.chain_of(chosen_output), components.outputs[chosen_output.name][1]
        publication = chain.publication(itertools.chain.from_iterable(each.assignments for each in snapshots), newest)
        before = now.of(chosen_output.name, list(output.files(publication)) if isinstance(output, WritesFiles) else [])
        after = selected(output, publication)
        difference = compare(before.groups, after)
        yield OutputDifference(
            chosen_output.name, before.where, len(before.groups), len(after), difference, chain.failing
        )
    if not arguments.only:
        for name in sorted(set(now.names) - {chosen_output.name for chosen_output in chosen}):
            before = now.of(name, [])
            yield OutputDifference(name, before.where, len(before.groups), None, compare(before.groups, ()))
