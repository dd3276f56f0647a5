"""docs/performance.md begins with what a user needs, and is what `script/bench --write` makes."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/performance.md").read_text()


def test_the_page_begins_with_memory_and_cpu_by_targets_then_one_chart_then_the_way_into_prometheus() -> None:
    lines = [line for line in PAGE.splitlines() if line and not line.startswith("<!--")]
    assert lines[0].startswith("# ")
    assert lines[1].startswith("| targets | memory")
    assert [line.split("|")[1].strip() for line in lines[3:6]] == ["1,000", "10,000", "100,000"]
    chart, consumer = PAGE.index("](performance.svg)"), PAGE.index("<!-- consumer -->")
    assert PAGE.index("<!-- end of summary -->") < chart < consumer
    assert "\n|" not in PAGE[chart:consumer]
    assert PAGE.count("![") == 1


@pytest.mark.timeout(60)
def test_what_was_missed_stands_in_one_section_that_the_benchmark_makes() -> None:
    program = """\
import naive
steps = [naive.Beside(100_000, 0, naive.ONE, [0.2], [1.0], [], 200.0), naive.Beside(100_000, 64, naive.COLD, [1], [1])]
print(naive.table([]), naive.missed(steps), sep="")
"""
    made = (
        subprocess.run(
            [sys.executable, "-c", program], cwd=ROOT / "bench/cost", capture_output=True, text=True, check=True
        )
        .stdout.strip()
        .splitlines()
    )
    # Only the ratio of the first step has a goal and is above it.
    assert made[-1] == "| 100,000 | single file | one change | ratio | 0.1 | 0.20 |"
    assert "\n".join(made[:2]) in PAGE
    section = PAGE.partition("## What was missed\n")[2].partition("\n## ")[0]
    assert "\n".join(made[2:4]) in section
    assert "goal" not in PAGE.replace(section, "")


def test_the_page_on_scale_begins_with_a_decision() -> None:
    lines = (ROOT / "docs/scale.md").read_text().splitlines()
    assert lines[2].startswith("Run one kuma-sd beside each Prometheus.")
    assert "| you have | use |" in "\n".join(lines[:8])
