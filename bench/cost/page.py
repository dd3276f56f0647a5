"""Write the measurements as tables into docs/performance.md."""

import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from large import Passed
from markdown import NUMBER, TEXT, markdown
from measured import Cost

PAGE = Path(__file__).parents[2] / "docs/performance.md"
SIZES_OF_USERS = (1_000, 10_000, 100_000)


def table(costs: Iterable[Cost]) -> str:
    """Return a table in Markdown."""
    numbers = ("to durable file, s", "floor, s", "ratio", "CPU, s", "peak so far, MB")
    rows = []
    for cost in costs:
        cpu = f"{statistics.median(cost.cpu):.3f}"
        times = (
            ("- | - | -")
            if not cost.seconds
            else (f"{statistics.median(cost.seconds):.3f} | {statistics.median(cost.floors):.3f} | {cost.ratio:.1f}")
        )
        rows.append(f"{cost.case} | {cost.step} | {times} | {cpu} | {cost.memory:.0f}")
    return markdown({"targets, protocol, output": TEXT, "step": TEXT} | dict.fromkeys(numbers, NUMBER), rows)


def summary(costs: Sequence[Cost]) -> str:
    """Return what a user needs to know first: memory and CPU by size, over gRPC as JSON without rules."""
    rows = []
    plain = [cost for cost in costs if cost.case.plain and cost.case.protocol == "gRPC"]
    for targets in SIZES_OF_USERS:
        steps = {cost.step: cost for cost in plain if cost.case.targets == targets}
        if not steps.keys() >= {"cold start", "one change"}:
            continue
        start, change = steps["cold start"], steps["one change"]
        cpu = f"{statistics.median(start.cpu):.1f} s | {statistics.median(change.cpu):.2f} s"
        most = max(cost.memory for cost in steps.values())
        rows.append(f"{targets:,} | {start.memory:.0f} MB | {most:.0f} MB | {cpu}")
    columns = ("targets", "memory after the start", "most memory", "CPU of the start", "CPU of one change")
    return markdown(dict.fromkeys(columns, NUMBER), rows)


def figures(values: Mapping[str, str]) -> str:
    """Return a table of single figures in Markdown."""
    return markdown({"what": TEXT, "measured": NUMBER}, (f"{what} | {value}" for what, value in values.items()))


def instructions(stages: Mapping[str, Mapping[str, float]], commands: Mapping[str, int]) -> str:
    """Return the instructions of each stage by protocol, and those of whole commands."""
    each = (f"{stage} | {counts['gRPC']:,.0f} | {counts['HTTP']:,.0f}" for stage, counts in stages.items())
    whole = (f"{command} | {count / 1e6:,.0f}" for command, count in commands.items())
    return "\n".join(
        [
            markdown({"instructions for each target": TEXT, "gRPC": NUMBER, "HTTP": NUMBER}, each),
            markdown({"instructions, in millions": TEXT, "": NUMBER}, whole),
        ]
    )


def large(passed: Iterable[Passed]) -> str:
    """Return a table of large responses."""
    numbers = ("MB", "targets", "of them in the file", "to durable file, s", "floor, s", "CPU, s", "peak, MB")
    rows = []
    for item in passed:
        response = "one gRPC message" if item.protocol == "gRPC" else "one HTTP body"
        counts = f"{item.least.size / 1e6:.0f} | {item.targets:,} | {item.written:,}"
        times = f"{item.seconds:.1f} | {item.least.seconds:.1f} | {item.cpu:.1f} | {item.memory:.0f}"
        rows.append(f"{response} | {counts} | {times}")
    return markdown({"response": TEXT} | dict.fromkeys(numbers, NUMBER), rows)


def put(sections: Mapping[str, str]) -> None:
    """Put each text between the markers of its name, with the command that measured it; others stay as they are."""
    page = PAGE.read_text()
    for name, text in sections.items():
        markers = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        page = markers.sub(lambda found, text=text: f"{found[1]}{text}\n{measured_by()}{found[2]}", page)  # type: ignore[misc] # (called at once)
    PAGE.write_text(page)


def measured_by() -> str:
    """Return a sentence with the command, the date and the machine of this run."""
    words = ["script/bench", *(["consumer"] if Path(sys.argv[0]).stem == "consumer" else []), *sys.argv[1:]]
    machine = f"{os.cpu_count()} shared cores, load {os.getloadavg()[2]:.0f}, CPython {platform.python_version()}"
    return f"`{' '.join(words)}`, {time.strftime('%Y-%m-%d')}, {machine}.\n"


def lines(costs: Sequence[Cost]) -> dict[str, list[tuple[int, float]]]:
    """Return the CPU by step and size, over gRPC as JSON without rules."""
    steps: dict[str, list[tuple[int, float]]] = {}
    for cost in costs:
        if cost.case.plain and cost.case.protocol == "gRPC" and cost.seconds:
            steps.setdefault(cost.step, []).append((cost.case.targets, statistics.median(cost.cpu)))
    return steps
