"""Explain why a target is published as it is, or not at all. The pipeline does not use this package.

Build `ExplainInputs` from a running daemon or from snapshots; `find` yields the targets that match a selector,
`explain` explains one target, `answer` does both.
"""

from kuma_sd.explain.inputs import ExplainInputs
from kuma_sd.explain.search import answer, explain, find
from kuma_sd.explain.selector import Selector, containing, parse_selector

__all__ = ["ExplainInputs", "Selector", "answer", "containing", "explain", "find", "parse_selector"]
