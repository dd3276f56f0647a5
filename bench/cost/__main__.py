"""Measure speed and memory of the real daemon, and compare with the minimum for any program; print tables.

A simulated control plane serves generated targets from a process of its own. The daemon runs with its defaults (one
file_sd output, state on), except that it does not listen for Prometheus.
"""

import argparse
import contextlib
import itertools
import math
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import consumer
import instructions
import naive
import page
from large import SIZES as LARGE
from large import Passed, large
from measured import Case, Cost, measured, tail
from plane import serving
from plot import PLOT, plot
from started import idle, slowest_imports, starts
from watched import watching

SIZES = (1_000, 10_000, 100_000)
MILLION = 1_000_000
FEW_PAIRS = 3

PARTS = ("consumer", "naive", "steps", "starts", "tail", "idle", "instructions", "large")


def main() -> None:
    """Run the requested measurements."""
    arguments = _parser().parse_args()
    arguments.only = arguments.only or PARTS
    sections = {}
    with _compiled():
        for name, text in _sections(arguments):
            print(text, flush=True)
            sections[name] = text
    if arguments.write:
        page.put(sections)


@contextlib.contextmanager
def _compiled() -> Iterator[None]:
    """Let everything that is started use compiled modules, as an installation does.

    A checkout may have none, and PYTHONDONTWRITEBYTECODE keeps Python from making them: then each start compiles all.
    """
    with tempfile.TemporaryDirectory() as cache, tempfile.TemporaryDirectory() as folder:
        os.environ["PYTHONPYCACHEPREFIX"] = cache
        os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
        with serving(1, "gRPC") as plane:
            path = Path(folder)
            with watching(path, f"--cp-address={plane.url}", f"--output-file={path}/targets.json") as daemon:
                daemon.until("durable")
        yield


def _sections(arguments: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Run the measurements in turn; yield the text between the page's markers."""
    if "consumer" in arguments.only:
        _note("into Prometheus")
        yield "consumer", consumer.compared("prometheus", arguments.targets or consumer.SIZES, (), consumer.CHANGES)
    if "naive" in arguments.only:
        steps = [*_beside(arguments)]
        yield "naive", naive.table(steps)
        yield "missed", naive.missed(steps)
    if "steps" in arguments.only:
        costs = _steps(arguments)
        yield "summary", page.summary(costs)
        yield "table", page.table(costs)
        lines = page.lines(costs)
        if arguments.write and lines:
            PLOT.write_text(plot(lines))
    figures: dict[str, str] = {}
    for part, measure in _FIGURES.items():
        if part in arguments.only:
            _note(part)
            figures |= measure(arguments)
    if figures:
        yield "figures", page.figures(figures)
    if "instructions" in arguments.only:
        yield "instructions", _instructions()
    if "large" in arguments.only:
        yield "large", page.large([_large(protocol, size) for protocol, size in LARGE.items()])


def _beside(arguments: argparse.Namespace) -> Iterator[naive.Beside]:
    for targets in arguments.targets or (SIZES[-1], *([MILLION] if arguments.full else [])):
        for parts in (0, 64) if targets < MILLION else (64,):
            _note(f"{targets:,} in {parts or 1} files beside the naive program")
            yield from naive.beside(targets, parts)


def _steps(arguments: argparse.Namespace) -> list[Cost]:
    costs = []
    for case in _cases(arguments):
        _note(str(case))
        costs += measured(case, _pairs(case, arguments.pairs))
    return costs


def _cases(arguments: argparse.Namespace) -> list[Case]:
    sizes = arguments.targets or [*SIZES, *([MILLION] if arguments.full else [])]
    cases = [Case(*each) for each in itertools.product(sizes, ("gRPC", "HTTP"), ("JSON", "YAML"), (0, 5))]
    if arguments.plain:
        most = max((size for size in sizes if size < MILLION), default=0)
        chosen = (Case(most, form="YAML"), Case(most, rules=5))
        cases = [case for case in cases if case.plain or case in chosen]
    return [case for case in cases if arguments.protocol in {"", case.protocol}]


def _pairs(case: Case, asked: int) -> int:
    if case.targets >= MILLION:
        return 1
    return asked if case.plain else min(asked, FEW_PAIRS)


def _starts(_: argparse.Namespace) -> dict[str, str]:
    values = {what: f"{took * 1000:.0f} ms" for what, took in starts().items()}
    for name, took in slowest_imports("check"):
        values[f"`check` imports `{name}`"] = f"{took:.1f} ms"
    return values


def _tail(arguments: argparse.Namespace) -> dict[str, str]:
    seconds = sorted(tail(Case(10_000), arguments.tail))
    last = seconds[math.ceil(len(seconds) * 0.99) - 1]
    what = f"{len(seconds)} single changes of 10,000, gRPC, to durable file:"
    return {
        f"{what} median": f"{statistics.median(seconds) * 1000:.0f} ms",
        f"{what} 99th percentile": f"{last * 1000:.0f} ms",
    }


def _idle(arguments: argparse.Namespace) -> dict[str, str]:
    values = {}
    for protocol in ("gRPC", "HTTP"):
        costs = idle(SIZES[-1], protocol, arguments.idle)
        what = f"idle at {SIZES[-1]:,}, {protocol}:"
        values[f"{what} CPU"] = f"{costs.cpu:.3%}"
        values[f"{what} wake-ups a second of our threads"] = f"{costs.own:.1f}"
        values[f"{what} … of gRPC's threads"] = f"{costs.grpc:.1f}"
    return values


_FIGURES: dict[str, Callable[[argparse.Namespace], dict[str, str]]] = {"starts": _starts, "tail": _tail, "idle": _idle}


def _instructions() -> str:
    if not instructions.available():
        return "Instructions are not counted: there is no valgrind. On Debian and Ubuntu: apt-get install valgrind\n"
    _note("instructions")
    return page.instructions(instructions.stages(), instructions.commands())


def _large(protocol: str, size: int) -> Passed:
    _note(f"{size:,} bytes over {protocol}")
    return large(protocol, size)


def _note(text: str) -> None:
    """Print the next step and the minutes so far."""
    print(f"{(time.monotonic() - _BEGUN) / 60:5.1f} {text} ...", file=sys.stderr, flush=True)


_BEGUN = time.monotonic()


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("script/bench", description=__doc__)
    parser.add_argument(
        "--only",
        choices=PARTS,
        action="append",
        help="this part only; repeatable (default: all; large takes 5 GB of memory)",
    )
    parser.add_argument("--targets", type=int, action="append", help="so many; repeatable (default: 1000 to 100000)")
    parser.add_argument("--full", action="store_true", help="a million as well, which takes 10 GB")
    parser.add_argument("--protocol", choices=("gRPC", "HTTP"), default="", help="over this one only (default: both)")
    parser.add_argument(
        "--plain", action="store_true", help="as YAML and with rules only the most targets below a million over gRPC"
    )
    parser.add_argument(
        "--pairs",
        type=int,
        default=9,
        help="how often one change is made; 3 at most as YAML and with rules, once of a million (default: 9)",
    )
    parser.add_argument("--tail", type=int, default=200, help="single changes of 10,000 for the slowest (default: 200)")
    parser.add_argument("--idle", type=float, default=30.0, help="seconds of doing nothing (default: 30)")
    parser.add_argument(
        "--write",
        action="store_true",
        help="put it into docs/performance.md; what is left out stays there with the command that measured it",
    )
    return parser


if __name__ == "__main__":
    main()
