"""Run the fault catalogue against the real daemon; print a table of results."""

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from dead import dead, frozen
from disk import full, in_the_way, read_only, removed
from disturbed import disturbed
from findings import Outcome, table, write_into
from killed import killed
from meddled import fought, meddled
from soak import soak

Fault = Callable[..., Outcome]

CATALOGUE: dict[str, Fault] = {
    fault.__name__: fault
    for fault in (killed, disturbed, dead, frozen, full, read_only, removed, in_the_way, meddled, fought)
}

PAGE = Path(__file__).parents[2] / "docs/reliability.md"


def main() -> int:
    """Run the requested faults; return the exit status."""
    parser = _parser()
    arguments = parser.parse_args()
    if arguments.model:
        return _model(arguments.model)
    if arguments.write and (arguments.only or arguments.soak):
        parser.error("--write wants the whole catalogue")
    outcomes = []
    for name in arguments.only or ([] if arguments.soak else CATALOGUE):
        print(f"{name} ...", file=sys.stderr, flush=True)
        outcomes.append(_run(CATALOGUE[name], arguments.seed, short=arguments.short))
        print(outcomes[-1].row(), file=sys.stderr, flush=True)
    if arguments.soak:
        with tempfile.TemporaryDirectory() as folder:
            outcomes.append(soak(Path(folder), arguments.soak, arguments.seed))
    print(table(outcomes), end="")
    if arguments.write:
        form = "short" if arguments.short else "long"
        write_into(PAGE, f"The {form} form, seed {arguments.seed}, {time.strftime('%Y-%m-%d')}:", table(outcomes))
    return any(outcome.problems or outcome.lost for outcome in outcomes)


def _model(runs: int) -> int:
    """Run the state machine of the tests, for longer."""
    test = Path(__file__).parents[2] / "tests/pipeline/test_promise.py"
    environment = {**os.environ, "KUMA_SD_MODEL_RUNS": str(runs)}
    command = [sys.executable, "-m", "pytest", "-q", "--show-capture=no", "-p", "no:logging", "--timeout=0", str(test)]
    return subprocess.run(command, env=environment, check=False).returncode  # noqa: S603 (our own tests)


def _run(fault: Fault, seed: int, *, short: bool) -> Outcome:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "published").mkdir()
        try:
            return fault(Path(folder), random.Random(seed), short=short)  # noqa: S311 (random orders guard no secret)
        except AssertionError as error:
            return Outcome(fault.__name__, 1, problems=[" ".join(repr(error).split())])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser("script/faults", description=__doc__)
    parser.add_argument("--short", action="store_true", help="fewer times and shorter, as in the tests")
    parser.add_argument("--seed", type=int, default=1, help="equal seeds make equal orders (default: 1)")
    parser.add_argument("--only", action="append", choices=CATALOGUE, help="this fault only; repeatable")
    parser.add_argument("--soak", type=float, metavar="MINUTES", help="no faults, but changes for so long")
    parser.add_argument(
        "--model",
        type=int,
        nargs="?",
        const=20_000,
        metavar="RUNS",
        help="no faults, but sequences of 60 events beside a model of the promise (default: 20000)",
    )
    parser.add_argument("--write", action="store_true", help="put the table into docs/reliability.md")
    return parser


if __name__ == "__main__":
    sys.exit(main())
