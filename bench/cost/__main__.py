"""Speed and memory: what the real daemon costs beside the least that anything could; prints a table.

A simulated control plane serves generated targets from a process of its own. The daemon runs with its defaults (one
file_sd output, state on), except that it does not listen for Prometheus.
"""

import argparse
import itertools
import math
import statistics
import sys
import time

from measured import Case, measured, tail
from page import PLOT, figures, plot, slopes, table, write
from started import idle, slowest_imports, starts

SIZES = (1_000, 10_000, 100_000)


def main() -> None:
    """Measure what was asked for."""
    arguments = _parser().parse_args()
    if arguments.tail:
        print(_tail(arguments.tail), end="")
        return
    costs = [cost for case in _cases(arguments) for cost in measured(case, _pairs(case, arguments.pairs), _note)]
    print(table(costs))
    print(slopes(costs))
    singles = figures(_singles(arguments.idle))
    print(singles)
    if arguments.write:
        write("table", table(costs))
        write("slopes", slopes(costs))
        write("figures", singles)
        write("when", f"Measured on {time.strftime('%Y-%m-%d')}.\n")
        PLOT.write_text(plot(costs))


def _cases(arguments: argparse.Namespace) -> list[Case]:
    sizes = arguments.targets or ([*SIZES, 1_000_000] if arguments.full else SIZES)
    if arguments.plain:
        plain = [Case(targets, protocol) for targets in sizes for protocol in ("gRPC", "HTTP")]
        return [*plain, Case(max(sizes), rules=5)]
    return [Case(*each) for each in itertools.product(sizes, ("gRPC", "HTTP"), ("JSON", "YAML"), (0, 5))]


def _pairs(case: Case, asked: int) -> int:
    return asked if case.targets < SIZES[-1] * 10 else min(asked, 3)


def _singles(seconds: float) -> dict[str, str]:
    values = {what: f"{took * 1000:.0f} ms" for what, took in starts().items()}
    for name, took in slowest_imports("check"):
        values[f"… `check` imports `{name}`"] = f"{took:.1f} ms"
    if seconds:
        _note("idle ...")
        share, wakes = idle(100_000, seconds)
        values |= {"idle at 100,000: CPU": f"{share:.3%}", "… wake-ups a second": f"{wakes:.1f}"}
    return values


def _tail(changes: int) -> str:
    seconds = sorted(tail(Case(10_000), changes))
    last = seconds[math.ceil(len(seconds) * 0.99) - 1]
    return f"10,000, one change: median {statistics.median(seconds):.4f} s, 99th percentile {last:.4f} s\n"


def _note(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("script/bench", description=__doc__)
    parser.add_argument(
        "--targets", type=int, action="append", help="this many only; repeatable (default: 1000 to 100000)"
    )
    parser.add_argument("--full", action="store_true", help="a million as well")
    parser.add_argument(
        "--plain", action="store_true", help="as JSON only, and with rules only the most targets over gRPC"
    )
    parser.add_argument("--pairs", type=int, default=9, help="how often one change is made (default: 9)")
    parser.add_argument("--idle", type=float, default=60.0, help="seconds of doing nothing, 0 for none (default: 60)")
    parser.add_argument(
        "--tail", type=int, default=0, help="instead, so many single changes of 10,000, for the slowest"
    )
    parser.add_argument("--write", action="store_true", help="put it into docs/performance.md")
    return parser


if __name__ == "__main__":
    main()
