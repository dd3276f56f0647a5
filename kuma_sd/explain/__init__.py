"""Why a target is published as it is, or not at all. Nothing here is asked by the hot path.

What is asked is a `Scene`, of a running daemon or of snapshots: `find` finds, `explain` explains, and `answer` does
both.
"""

from kuma_sd.explain.inputs import Scene
from kuma_sd.explain.search import answer, explain, find
from kuma_sd.explain.selector import Selector, containing, parse_selector

__all__ = ["Scene", "Selector", "answer", "containing", "explain", "find", "parse_selector"]
