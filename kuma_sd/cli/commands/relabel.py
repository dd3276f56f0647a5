"""Apply Prometheus's relabelling rules to label sets, to see what they do.

Examples:
  echo '{"__address__": "10.0.0.1:80", "env": "prod"}' | kuma-sd relabel --file rules.yml
  kuma-sd relabel --jsonl < cases.jsonl

Reads label sets from standard input, one JSON object per line. For each, prints one line: the labels after all rules,
or null if a rule drops the target.

With --jsonl each input line brings its own rules, {"rules": "- action: …", "labels": {…}}, and the output line is
{"result": {…}}, {"result": null} if the target is dropped, or {"error": "…"} if the rules are refused.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, TypeVar

import msgspec

from kuma_sd.cli.main import argument_type
from kuma_sd.core.decoding_errors import UNREADABLE
from kuma_sd.core.errors import ConfigError, KumaSDError
from kuma_sd.core.model import Labels, Target
from kuma_sd.core.option_types import FILE_CONTENT, FileContent
from kuma_sd.plugin.context import Context
from kuma_sd.plugin.interfaces import Transform
from kuma_sd.plugin.manager import Plugins

if TYPE_CHECKING:
    from kuma_sd.settings.model import Settings

TAKES_SETTINGS = False

T = TypeVar("T")

_ENCODER = msgspec.json.Encoder(order="deterministic")
_NO_TARGET = Target("", "", "", "", "", "", "", {})


class _Case(msgspec.Struct):
    rules: str
    labels: Labels


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's own flags."""
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument(
        "--file", type=argument_type(FILE_CONTENT), metavar="FILE", help="the rules: a list as under relabel_configs"
    )
    where.add_argument("--jsonl", action="store_true", help="each line has its own rules")


def execute(arguments: argparse.Namespace, settings: "Settings | None") -> int:  # noqa: ARG001 (the contract of commands)
    """Relabel line by line."""
    plugins = Plugins()
    if arguments.jsonl:
        for case in _lines(_Case):
            _print(_answer(plugins, case))
    else:
        transform = _transform(plugins, arguments.file)
        for labels in _lines(Labels):
            _print(_result(transform, labels))
    return 0


def _lines(type_: Callable[..., T]) -> Iterator[T]:
    decoder: msgspec.json.Decoder[T] = msgspec.json.Decoder(type_)
    for number, line in enumerate(sys.stdin.buffer, start=1):
        if not line.isspace():
            try:
                yield decoder.decode(line)
            except UNREADABLE as error:
                raise KumaSDError(f"line {number}: {error}") from error


def _answer(plugins: Plugins, case: _Case) -> dict[str, object]:
    try:
        return {"result": _result(_transform(plugins, FileContent(None, case.rules.encode())), case.labels)}
    except ConfigError as error:
        return {"error": str(error)}


def _transform(plugins: Plugins, rules: FileContent) -> Transform:
    plugin = plugins.transform("relabel")
    return plugin.open(plugin.options(rules=rules), Context("relabel"))


def _result(transform: Transform, labels: Labels) -> Labels | None:
    return next(iter(transform(labels, _NO_TARGET)), None)


def _print(answer: object) -> None:
    sys.stdout.write(_ENCODER.encode(answer).decode() + "\n")
