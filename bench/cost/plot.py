"""Plot cost over size into docs/performance.svg."""

import math
from collections.abc import Iterable, Mapping, Sequence

from page import PAGE

PLOT = PAGE.with_name("performance.svg")

WIDTH, HEIGHT, MARGIN = 640, 360, 60
COLOURS = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd")


def plot(lines: Mapping[str, Sequence[tuple[int, float]]]) -> str:
    """Return the CPU of each step over the number of targets, both on logarithmic scales, as SVG."""
    every = [point for points in lines.values() for point in points]
    left, right = _decades([targets for targets, _ in every])
    low, high = _decades([cpu for _, cpu in every])

    def place(targets: float, cpu: float) -> tuple[float, float]:
        across = (_log(targets) - left) / (right - left)
        up = (_log(cpu) - low) / (high - low)
        return MARGIN + across * (WIDTH - 2 * MARGIN), HEIGHT - MARGIN - up * (HEIGHT - 2 * MARGIN)

    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif">']
    parts += ['<rect width="100%" height="100%" fill="white"/>', _text(WIDTH / 2, HEIGHT - 15, "targets")]
    parts.append(_text(MARGIN + 50, 20, "CPU of the whole process, s"))
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
