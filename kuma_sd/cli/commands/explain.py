"""Explain why a target is published as it is, or not at all.

Examples:
  kuma-sd explain web-01
  kuma-sd explain 10.0.0.1:5670 payments
  kuma-sd explain 'checkout zone-2'
  kuma-sd explain 'mesh="payments", service=~"web|api"' --format json
  kuma-sd explain web-01 -c new.conf --from control-plane
  kuma-sd explain web-01 --from file:/var/lib/kuma-sd/east.snapshot

SELECTOR is the name of a dataplane, an address with or without its port, words that a target has in its name, address
or tags, or label matchers in Prometheus's syntax. If one target matches, each step is shown: what was received, what
each transform changed, what each output does with it. If several match, only the results are shown.

Asks the running daemon over its control socket, so give it the same settings. --from control-plane and --from file:PATH
need no daemon, and you can use other settings: nothing is changed, locked or written.

Exit status: 1 if nothing matches, 2 if the selector is wrong or there is no such output.
"""

import argparse
import shlex
import sys
from collections.abc import Sequence
from http import HTTPStatus
from urllib.parse import urlencode

import msgspec

from kuma_sd.cli.daemon_errors import naming
from kuma_sd.cli.main import argument_type
from kuma_sd.cli.received_targets import DAEMON, add_from, control_socket, receive
from kuma_sd.cli.render.explanation import as_text
from kuma_sd.cli.render.style import style
from kuma_sd.cli.settings_flags import settings_flags
from kuma_sd.core.decoding_errors import UNREADABLE
from kuma_sd.core.errors import ConfigError, KumaSDError
from kuma_sd.core.option_types import NUMBER
from kuma_sd.explain import ExplainInputs, answer, parse_selector
from kuma_sd.runtime.builder import build
from kuma_sd.settings.model import Settings
from kuma_sd.system.log_format import escape
from kuma_sd.telemetry.explanation import SearchResult
from kuma_sd.web.client import ask
from kuma_sd.web.endpoints.explain import DEFAULT_LIMIT

TAKES_SETTINGS = True

SETTINGS_IN_HELP: tuple[str, ...] = ("control-socket",)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own flags."""
    parser.add_argument("selector", metavar="SELECTOR", help="a dataplane, an address, or label matchers")
    parser.add_argument(
        "instance", metavar="OUTPUT", nargs="?", default="", help="only the way to the output of this name"
    )
    add_from(parser)
    parser.add_argument(
        "--limit",
        type=argument_type(NUMBER),
        metavar="N",
        default=DEFAULT_LIMIT,
        help=f"how many targets to explain (default: {DEFAULT_LIMIT})",
    )
    parser.add_argument("--format", choices=("text", "json"), default="text", help="how to print it (default: text)")


def execute(arguments: argparse.Namespace, settings: Settings | None) -> int:
    """Find the targets, and print their explanations."""
    assert settings is not None
    # Parse it here, so that errors are the same for every place that --from names.
    selector = parse_selector(arguments.selector)
    if arguments.limit < 1:
        raise ConfigError("--limit must be at least 1")
    if arguments.origin == DAEMON:
        origin, found = "", _asked(arguments, settings)
    else:
        components = build(settings)
        received = receive(arguments, settings, components)
        origin = f"Targets {received.origin}"
        found = answer(
            ExplainInputs.of_snapshots(components, received.snapshots), selector, arguments.instance, arguments.limit
        )
    if arguments.format == "json":
        print(msgspec.json.format(msgspec.json.encode(found)).decode())
    elif found.targets:
        shown = style(sys.stdout)
        print("\n".join(as_text(origin, found, shown, f"kuma-sd explain{_same(arguments, settings)}")))
        print(f"\n{shown.dim(escape(settings.source))}")
    else:
        raise KumaSDError(f"no target matches {arguments.selector!r}{_suggestion(found.near)}")
    return 0 if found.targets else 1


def _same(arguments: argparse.Namespace, settings: Settings) -> str:
    """Return the flags that repeat the query."""
    return settings_flags(settings) + (f" --from {shlex.quote(arguments.origin)}" if arguments.origin != DAEMON else "")


def _suggestion(near: Sequence[str]) -> str:
    *others, last = [f"'{suggestion}'" for suggestion in near] or [""]
    return f"; did you mean {' or '.join(filter(None, (', '.join(others), last)))}?" if near else ""


def _asked(arguments: argparse.Namespace, settings: Settings) -> SearchResult:
    query = {"selector": arguments.selector, "output": arguments.instance, "limit": arguments.limit}
    with naming(settings.source):
        status, text = ask(control_socket(settings), "GET", f"/-/explain?{urlencode(query)}")
    if status != HTTPStatus.OK:
        # As with targets from elsewhere, a wrong command line is a ConfigError.
        failure = ConfigError if status == HTTPStatus.BAD_REQUEST else KumaSDError
        raise failure(text.strip() or f"the daemon answers with status {status}")
    try:
        return msgspec.json.decode(text, type=SearchResult)
    except UNREADABLE as error:
        raise KumaSDError(f"the answer of the daemon cannot be read: {error}; is it of another version?") from error
