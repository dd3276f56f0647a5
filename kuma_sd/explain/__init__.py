"""Why a target is published as it is, or not at all. Nothing here is asked by the hot path.

The data are `ExplainInputs` of a running daemon or of snapshots: `find` finds, `explain` explains, `answer` does
both.
"""

from kuma_sd.explain.inputs import ExplainInputs
from kuma_sd.explain.search import answer, explain, find
from kuma_sd.explain.selector import Selector, containing, parse_selector

__all__ = ["ExplainInputs", "Selector", "answer", "containing", "explain", "find", "parse_selector"]
