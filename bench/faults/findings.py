"""What came of a fault, and the table of all."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

MARKERS = ("<!-- faults -->\n", "<!-- end of faults -->")


@dataclass
class Outcome:
    """What came of one fault.

    Args:
        fault: what was done, in a few words.
        tried: how often it was done.
        lost: how many targets were missing from the file, or from Prometheus, that should have been there.
        recovery: the longest time until everything was right again, in seconds; None where nothing has to recover.
        remarks: what else was measured.
        problems: what was not as promised; with any, the run fails.
    """

    fault: str
    tried: int = 0
    lost: int = 0
    recovery: float | None = None
    remarks: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    def recovered(self, seconds: float) -> None:
        """Take note of how long a recovery took."""
        self.recovery = max(self.recovery or 0.0, seconds)

    def expect(self, condition: object, problem: str) -> None:
        """Take note of a problem unless the condition holds."""
        if not condition:
            self.problems.append(problem)

    def row(self) -> str:
        """Return its row of the table."""
        recovery = "" if self.recovery is None else f"{self.recovery:.1f}"
        what = "; ".join([*self.remarks, *(f"**{problem}**" for problem in self.problems)])
        return f"| {self.fault} | {self.tried} | {self.lost} | {recovery} | {what} |"


def table(outcomes: Iterable[Outcome]) -> str:
    """Return a table in Markdown."""
    head = ("| fault | times | targets lost | recovery, s | also |", "|---|---:|---:|---:|---|")
    return "".join(f"{line}\n" for line in (*head, *(outcome.row() for outcome in outcomes)))


def write_into(page: Path, title: str, text: str) -> None:
    """Put a table between the markers of a page, under a line that says of which run it is."""
    start, end = MARKERS
    pattern = re.compile(f"{re.escape(start)}.*?{re.escape(end)}", re.DOTALL)
    page.write_text(pattern.sub(lambda _: f"{start}{title}\n\n{text}{end}", page.read_text()))
