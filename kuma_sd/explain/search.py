"""Find targets by a selector, and explain them."""

from bisect import bisect_left
from collections.abc import Collection, Iterator
from itertools import islice

from msgspec.structs import replace

from kuma_sd.core.errors import ConfigError
from kuma_sd.core.model import Assignment, Target
from kuma_sd.core.text import did_you_mean
from kuma_sd.explain.inputs import ChainInput, ControlPlaneInput, ExplainInputs
from kuma_sd.explain.selector import Selector, named, read_if_readable
from kuma_sd.explain.trace import failed, trace
from kuma_sd.explain.verdict import Outcome
from kuma_sd.telemetry.explanation import ExplainedChain, Explanation, Identity, ReceivedAssignment, SearchResult, Trace

MOST_COMPARED = 2000
"""Maximum number of names that are compared with one that was not found; each takes up to 0.1 ms."""


def find(inputs: ExplainInputs, selector: Selector) -> Iterator[tuple[ControlPlaneInput, Assignment]]:
    """Yield the targets that a selector matches, in the order of keys; lazy, so that few matches cost little.

    Args:
        inputs: the targets to search.
        selector: chooses targets.
    """
    for control_plane in inputs.control_planes:
        for assignment in control_plane.assignments:
            if selector.matches(assignment):
                yield control_plane, assignment


def answer(
    inputs: ExplainInputs, selector: Selector, output: str = "", limit: int = 10, offset: int = 0
) -> SearchResult:
    """Find and explain the targets that a selector matches.

    Args:
        inputs: the targets to search.
        selector: chooses targets.
        output: explain only this output; empty for all.
        limit: the maximum number of targets.
        offset: the number of matches to skip.

    Raises:
        ConfigError: there is no such output.
    """
    inputs = replace(inputs, chains=_leading_to(output, inputs)) if output else inputs
    nothing = selector.wider and next(find(inputs, selector), None) is None
    chosen = selector.wider if selector.wider and nothing else selector
    found = list(islice(find(inputs, chosen), offset, offset + limit + 1))
    near = () if found or offset else tuple(_near(inputs, selector))
    targets = tuple(explain(assignment, control_plane, inputs) for control_plane, assignment in found[:limit])
    return SearchResult(targets, len(found) > limit, near)


def explain(assignment: Assignment, control_plane: ControlPlaneInput, inputs: ExplainInputs) -> Explanation:
    """Explain whether and how one assignment is published.

    Args:
        assignment: the assignment.
        control_plane: the control plane that it belongs to.
        inputs: the chains that it goes through.
    """
    codec, size = assignment.codec.name, len(assignment.data)
    target: Target | None = None
    try:
        target = assignment.read()
        received = ReceivedAssignment(
            codec,
            size,
            service=target.service,
            address=target.address,
            scheme=target.scheme,
            metrics_path=target.metrics_path,
            labels=dict(target.labels),
        )
    except (Exception, SystemExit) as error:  # noqa: BLE001 (codecs are plugins')
        unread = failed("assignment", error)
        received = ReceivedAssignment(codec, size, unread.reason)
    state, chains = control_plane.state(assignment.key), []
    for chain_input in inputs.chains:
        traced = [(Trace((unread,), None), None)] if target is None else trace(assignment, target, chain_input)
        outcome = Outcome.of(assignment.key, state, chain_input, traced)
        names = tuple(step.name for step in chain_input.steps)
        verdicts = tuple(map(outcome.at, chain_input.outputs))
        chains.append(ExplainedChain(chain_input.label_profile, names, verdicts, tuple(trace for trace, _ in traced)))
    return Explanation(Identity.of(assignment.key), state, received, tuple(chains))


def _leading_to(output: str, inputs: ExplainInputs) -> list[ChainInput]:
    names = [end.name for chain_input in inputs.chains for end in chain_input.outputs]
    if output not in names:
        suggestion = did_you_mean(output, names) or f"; there are {', '.join(names)}"
        raise ConfigError(f"there is no output '{output}'{suggestion}")
    outputs = [
        (chain_input, tuple(end for end in chain_input.outputs if end.name == output)) for chain_input in inputs.chains
    ]
    return [replace(chain_input, outputs=end) for chain_input, end in outputs if end]


def _near(inputs: ExplainInputs, selector: Selector) -> Iterator[str]:
    """Yield suggestions when nothing was found: similar names, or other ports of a host."""
    keys = [assignment.key for control_plane in inputs.control_planes for assignment in control_plane.assignments]
    for label, word in selector.words.items():
        known = {key.mesh for key in keys} if label == "mesh" else {key.name for key in keys}
        if word not in known:
            import difflib  # noqa: PLC0415 (late, since most words are right)

            yield from difflib.get_close_matches(word, _candidates(word, known), n=3)
        host, colon, _ = word.rpartition(":")
        if colon and host:
            targets = (read_if_readable(assignment) for _, assignment in find(inputs, named(host)))
            yield from islice((target.address for target in targets if target), 3)


def _candidates(word: str, known: Collection[str]) -> list[str]:
    """Return the names to compare with a word; of too many, those that begin similarly or contain the word."""
    if len(known) <= MOST_COMPARED:
        return sorted(known)
    ordered = sorted(known)
    place = bisect_left(ordered, word)
    beside = ordered[max(0, place - MOST_COMPARED // 4) : place + MOST_COMPARED // 4]
    return [*beside, *islice((name for name in ordered if word in name), MOST_COMPARED // 2)]
