"""Measure the cost of the relay over Redis, or test its failures; print tables."""

import argparse
import random
import sys
import tempfile
from pathlib import Path

# What the fault catalogue has for the same purpose.
sys.path.insert(1, str(Path(__file__).parents[1] / "faults"))

from findings import Outcome, table
from killed import killed, stopped
from measured import measured


def main() -> int:
    """Run the requested part; return the exit status."""
    arguments = _parser().parse_args()
    if not arguments.rounds:
        with tempfile.TemporaryDirectory() as folder:
            print(measured(Path(folder), arguments.targets, arguments.edges, arguments.seconds, arguments.rate))
        return 0
    rng = random.Random(arguments.seed)  # noqa: S311 (an order, no secret)
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory() as folder:
        for persistent in (True, False):
            half = (arguments.rounds + persistent) // 2
            where = Path(folder) / f"killed-{persistent}"
            outcomes.append(killed(where, rng, half, arguments.lease, persistent=persistent))
            print(outcomes[-1].row(), file=sys.stderr, flush=True)
        outcomes.append(stopped(Path(folder) / "stopped", arguments.stop, arguments.lease))
    print(table(outcomes), end="")
    return any(outcome.problems or outcome.lost for outcome in outcomes)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("script/bench relay", description=__doc__)
    parser.add_argument("--targets", type=int, default=100_000, help="how many there are (default: 100000)")
    parser.add_argument("--edges", type=int, default=100, help="how many follow (default: 100)")
    parser.add_argument("--seconds", type=float, default=60.0, help="for how long to change targets (default: 60)")
    parser.add_argument("--rate", type=int, default=10, help="how many changes a second (default: 10)")
    parser.add_argument("--rounds", type=int, default=0, help="instead, kill something so many times")
    parser.add_argument("--lease", default="10s", help="the publishers' lease then (default: 10s)")
    parser.add_argument("--stop", type=float, default=30.0, help="for how long the leader is stopped (default: 30)")
    parser.add_argument("--seed", type=int, default=1, help="equal seeds make equal orders (default: 1)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
