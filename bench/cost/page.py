"""What was measured, as a table and a plot in docs/performance.md."""

import math
import re
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from measured import Cost

PAGE = Path(__file__).parents[2] / "docs/performance.md"
PLOT = PAGE.with_name("performance.svg")

WIDTH, HEIGHT, MARGIN = 640, 360, 60
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd")


def table(costs: Iterable[Cost]) -> str:
    """Return a table in Markdown."""
    rows = [
        "| targets, protocol, output | step | to durable file, s | floor, s | ratio | CPU, s | peak so far, MB |",
        "|---|---|---:|---:|---:|---:|---:|",
    ]
    for cost in costs:
        cpu = f"{statistics.median(cost.cpu):.3f}"
        times = (
            ("- | - | -")
            if not cost.seconds
            else (f"{statistics.median(cost.seconds):.3f} | {statistics.median(cost.floors):.3f} | {cost.ratio:.1f}")
        )
        rows.append(f"| {cost.case} | {cost.step} | {times} | {cpu} | {cost.memory:.0f} |")
    return "\n".join(rows) + "\n"


def figures(values: Mapping[str, str]) -> str:
    """Return a table of single figures in Markdown."""
    rows = ["| what | measured |", "|---|---:|", *(f"| {what} | {value} |" for what, value in values.items())]
    return "\n".join(rows) + "\n"


def slopes(costs: Sequence[Cost]) -> str:
    """Return by how many microseconds of CPU each step grows with each target."""
    lines = []
    for step, points in _lines(costs).items():
        (few, low), (many, high) = points[0], points[-1]
        if many > few:
            lines.append(f"- {step}: {(high - low) / (many - few) * 1e6:.2f} µs of CPU for each target\n")
    return "".join(lines)


def plot(costs: Sequence[Cost]) -> str:
    """Return the CPU of each step over the number of targets, both on logarithmic scales, as SVG."""
    lines = _lines(costs)
    every = [point for points in lines.values() for point in points]
    left, right = _decades([targets for targets, _ in every])
    low, high = _decades([cpu for _, cpu in every])

    def place(targets: float, cpu: float) -> tuple[float, float]:
        across = (_log(targets) - left) / (right - left)
        up = (_log(cpu) - low) / (high - low)
        return MARGIN + across * (WIDTH - 2 * MARGIN), HEIGHT - MARGIN - up * (HEIGHT - 2 * MARGIN)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">']
    parts += ['<rect width="100%" height="100%" fill="white"/>', _text(WIDTH / 2, HEIGHT - 15, "targets")]
    parts.append(_text(MARGIN, 20, "CPU of the whole process, s"))
    for decade in range(left, right + 1):
        across, bottom = place(10**decade, 10**low)
        parts += [_line([(across, bottom), place(10**decade, 10**high)], "#ddd", 1)]
        parts += [_text(across, bottom + 18, f"{10**decade:,}")]
    for decade in range(low, high + 1):
        start = place(10**left, 10**decade)
        parts += [_line([start, place(10**right, 10**decade)], "#ddd", 1), _text(30, start[1] + 4, f"{10.0**decade:g}")]
    for number, (step, points) in enumerate(lines.items()):
        parts.append(_line([place(*point) for point in points], COLOURS[number], 2))
        parts.append(_text(MARGIN + 80, 45 + 17 * number, step, COLOURS[number]))
    return "\n".join([*parts, "</svg>"]) + "\n"


def write(name: str, text: str) -> None:
    """Put text between the markers of this name."""
    pattern = re.compile(f"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
    PAGE.write_text(pattern.sub(lambda found: f"{found[1]}{text}{found[2]}", PAGE.read_text()))


def _lines(costs: Sequence[Cost]) -> dict[str, list[tuple[int, float]]]:
    """Return the CPU by step and size, over gRPC as JSON without rules."""
    lines: dict[str, list[tuple[int, float]]] = {}
    for cost in costs:
        if (cost.case.protocol, cost.case.form, cost.case.rules) == ("gRPC", "JSON", 0) and cost.seconds:
            lines.setdefault(cost.step, []).append((cost.case.targets, statistics.median(cost.cpu)))
    return lines


def _log(value: float) -> float:
    return math.log10(value)


def _decades(values: Sequence[float]) -> tuple[int, int]:
    low, high = math.floor(_log(min(values))), math.ceil(_log(max(values)))
    return low, max(high, low + 1)


def _line(points: Iterable[tuple[float, float]], colour: str, width: int) -> str:
    path = " ".join(f"{across:.1f},{down:.1f}" for across, down in points)
    return f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="{width}"/>'


def _text(across: float, down: float, text: str, colour: str = "black") -> str:
    return f'<text x="{across:.1f}" y="{down:.1f}" font-size="12" fill="{colour}" text-anchor="middle">{text}</text>'
