"""Delete or change the published file from another process."""

import random
import re
import threading
import time
from collections.abc import Callable
from pathlib import Path

from daemon_process import kuma_sd
from findings import Outcome
from reader import published
from waiting import eventually
from watching import watched_at_the_end

from kuma_sd.testing import control_plane

WORLD = {("default", f"backend-{number}"): "backend" for number in range(20)}

NAMES = [name for _, name in WORLD]

MEDDLING: dict[str, Callable[[Path], object]] = {
    "deleted": lambda path: path.unlink(),
    "overwritten": lambda path: path.write_text("[]\n"),
    "appended to": lambda path: path.write_bytes(path.read_bytes() + b"x"),
    "cut off": lambda path: path.write_bytes(path.read_bytes()[:100]),
    "replaced": lambda path: path.with_suffix(".new").write_text("{") and path.with_suffix(".new").rename(path),
}

FIGHT = 10.0
"""How long another program writes the file again and again, in seconds."""

MOST_RESTORED = 5
"""How often it may be restored: at once, then after 1, 2 and 4 s, and after another 8 s, when the fight is over."""


def meddled(folder: Path, _rng: random.Random, *, short: bool) -> Outcome:
    """Do to the file what other programs might."""
    outcome = Outcome("the file is deleted or changed by somebody else")
    path = folder / "published" / "targets.json"
    with control_plane(*NAMES) as kuma, watched_at_the_end(outcome, path, NAMES, short=short):
        for what, meddle in MEDDLING.items():
            for _ in range(1 if short else 3):
                with kuma_sd("run", f"--cp-address={kuma.url}", f"--output-file={path}") as daemon:
                    daemon.wait_for_line('msg="published"')
                    meddle(path)
                    started = time.monotonic()
                    eventually(lambda: _is_right(path), f"the file is right after it was {what}")
                    outcome.tried += 1
                    outcome.recovered(time.monotonic() - started)
                    daemon.wait_for_line("restored")
    return outcome


def fought(folder: Path, _rng: random.Random, *, short: bool) -> Outcome:
    """Write the file again and again, as another program that thinks it is its own."""
    outcome = Outcome(f"another program writes the file for {FIGHT:g} s")
    path = folder / "published" / "targets.json"
    with (
        control_plane(*NAMES) as kuma,
        watched_at_the_end(outcome, path, NAMES, short=short),
        kuma_sd("run", f"--cp-address={kuma.url}", f"--output-file={path}") as daemon,
    ):
        daemon.wait_for_line('msg="published"')
        end = time.monotonic() + FIGHT
        while time.monotonic() < end:
            path.write_text("[]\n")
            outcome.tried += 1
            threading.Event().wait(0.1)
        ended = time.monotonic()
        eventually(lambda: _is_right(path), "the file is right after the other program ended")
        outcome.recovered(time.monotonic() - ended)
        daemon.stop()
    restored = len(re.findall("it was restored", daemon.output))
    outcome.expect(restored <= MOST_RESTORED, f"restored {restored} times")
    outcome.expect("restored_again_only=" in daemon.output, "the fight was not said")
    outcome.remarks.append(f"restored {restored} times, with growing pauses")
    return outcome


def _is_right(path: Path) -> bool:
    try:
        return published(path) == WORLD
    except (ValueError, OSError):
        return False
