"""Write the measurements as tables into docs/performance.md."""

import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from large import Passed
from markdown import NUMBER, TEXT, markdown
from measured import Cost

PAGE = Path(__file__).parents[2] / "docs/performance.md"
SIZES_OF_USERS = (1_000, 10_000, 100_000)
NOT_MEASURED = "Not measured in this run.\n"

OF_OTHER_RUNS = ("consumer",)
"""Parts with a separate command, which other measurements leave unchanged."""


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


def simulator(costs: Iterable[Cost]) -> str:
    """Return what the control plane took for a response, of those configurations that say all of it."""
    numbers = ("to its last byte, s", "over loopback, s", "CPU, s", "to durable file, s")
    rows = []
    for cost in costs:
        if cost.case.plain and cost.step in {"cold start", "one change"}:
            values = (cost.arrivals, cost.loopbacks, cost.serving, cost.seconds)
            columns = " | ".join(f"{statistics.median(each):.3f}" for each in values)
            rows.append(f"{cost.case.targets:,}, {cost.case.protocol} | {cost.step} | {columns}")
    return markdown({"targets, protocol": TEXT, "step": TEXT} | dict.fromkeys(numbers, NUMBER), rows)


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


def slopes(costs: Sequence[Cost]) -> str:
    """Return by how many microseconds of CPU each step grows with each target."""
    lines = []
    for step, points in lines(costs).items():
        (few, low), (many, high) = points[0], points[-1]
        if many > few:
            lines.append(f"- {step}: {(high - low) / (many - few) * 1e6:.2f} µs of CPU for each target\n")
    return "".join(lines)


def put(name: str, text: str) -> None:
    """Put a text between the markers of its name, and leave the others as they are."""
    markers = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
    PAGE.write_text(markers.sub(lambda found: f"{found[1]}{text}{found[2]}", PAGE.read_text()))


def write(sections: Mapping[str, str]) -> None:
    """Put each text between the markers of its name; what is missing was not measured, so that no two runs mix."""
    pattern = re.compile(r"(<!-- (\w+) -->\n).*?(<!-- end of \2 -->)", re.DOTALL)
    kept = {name: text for name, text in _sections().items() if name in OF_OTHER_RUNS}
    texts = {**kept, **sections}
    page = pattern.sub(lambda found: f"{found[1]}{texts.get(found[2], NOT_MEASURED)}{found[3]}", PAGE.read_text())
    PAGE.write_text(page)


def _sections() -> dict[str, str]:
    found = re.findall(r"<!-- (\w+) -->\n(.*?)<!-- end of \1 -->", PAGE.read_text(), re.DOTALL)
    return dict(found)


def lines(costs: Sequence[Cost]) -> dict[str, list[tuple[int, float]]]:
    """Return the CPU by step and size, over gRPC as JSON without rules."""
    steps: dict[str, list[tuple[int, float]]] = {}
    for cost in costs:
        if cost.case.plain and cost.case.protocol == "gRPC" and cost.seconds:
            steps.setdefault(cost.step, []).append((cost.case.targets, statistics.median(cost.cpu)))
    return steps
