"""Finding targets by a selector, and explaining them."""

import difflib
from bisect import bisect_left
from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import islice

from kuma_sd.core.errors import KumaSDError
from kuma_sd.explain.inputs import Course, Plane, Scene
from kuma_sd.explain.selector import Selector, parse_selector
from kuma_sd.explain.trace import failed, trace
from kuma_sd.explain.verdict import Outcome
from kuma_sd.telemetry.explanation import Answer, Explanation, Identity, Received, Trace, Way
from kuma_sd.core.model import Assignment, Target
from kuma_sd.core.text import did_you_mean

MOST_COMPARED = 2000
"""How many names are compared with one that is not found; each takes up to 0.1 ms."""


def find(scene: Scene, selector: Selector) -> Iterator[tuple[Plane, Assignment]]:
    """Yield what a selector matches, in the order of keys, looking no further than is asked for.

    Args:
        scene: where to look.
        selector: what to look for.
    """
    for plane in scene.planes:
        for assignment in plane.assignments:
            if selector.matches(assignment):
                yield plane, assignment


def answer(scene: Scene, selector: Selector, output: str = "", limit: int = 10, offset: int = 0) -> Answer:
    """Explain what a selector matches.

    Args:
        scene: where to look.
        selector: what to look for.
        output: only the way to this output; empty for all.
        limit: how many targets at most.
        offset: how many to pass over.

    Raises:
        KumaSDError: there is no such output.
    """
    scene = replace(scene, courses=_leading_to(output, scene)) if output else scene
    found = list(islice(find(scene, selector), offset, offset + limit + 1))
    near = () if found or offset else tuple(_near(scene, selector))
    targets = tuple(explain(assignment, plane, scene) for plane, assignment in found[:limit])
    return Answer(targets, len(found) > limit, near)


def explain(assignment: Assignment, plane: Plane, scene: Scene) -> Explanation:
    """Explain what becomes of one assignment.

    Args:
        assignment: what was received.
        plane: the control plane that it is of.
        scene: the ways that it goes.
    """
    codec, size = assignment.codec.name, len(assignment.data)
    target: Target | None = None
    try:
        target = assignment.read()
        received = Received(
            codec,
            size,
            service=target.service,
            address=target.address,
            scheme=target.scheme,
            metrics_path=target.metrics_path,
            labels=dict(target.labels),
        )
    except Exception as error:  # noqa: BLE001 (codecs are plugins')
        unread = failed("assignment", error)
        received = Received(codec, size, unread.reason)
    state, ways = plane.state(assignment.key), []
    for course in scene.courses:
        traced = [(Trace((unread,), None), None)] if target is None else trace(assignment, target, course)
        outcome = Outcome.of(assignment.key, state, course, traced)
        names = tuple(step.name for step in course.steps)
        verdicts = tuple(map(outcome.at, course.ends))
        ways.append(Way(course.label_profile, names, verdicts, tuple(one for one, _ in traced)))
    return Explanation(Identity.of(assignment.key), state, received, tuple(ways))


def _leading_to(output: str, scene: Scene) -> list[Course]:
    names = [end.name for course in scene.courses for end in course.ends]
    if output not in names:
        suggestion = did_you_mean(output, names) or f"; there are {', '.join(names)}"
        raise KumaSDError(f"there is no output '{output}'{suggestion}")
    ends = [(course, tuple(end for end in course.ends if end.name == output)) for course in scene.courses]
    return [replace(course, ends=end) for course, end in ends if end]


def _near(scene: Scene, selector: Selector) -> Iterator[str]:
    """Yield what may have been meant: names that look alike, or other ports of a host."""
    keys = [assignment.key for plane in scene.planes for assignment in plane.assignments]
    for label, word in selector.words.items():
        known = {key.mesh for key in keys} if label == "mesh" else {key.name for key in keys}
        if word not in known:
            yield from difflib.get_close_matches(word, _candidates(word, known), n=3)
        host, colon, _ = word.rpartition(":")
        for _, assignment in islice(find(scene, parse_selector(host)), 3) if colon and host else ():
            yield assignment.read().address


def _candidates(word: str, known: Collection[str]) -> list[str]:
    """Return those that are worth comparing, if there are too many: those that begin alike, or hold the word."""
    if len(known) <= MOST_COMPARED:
        return sorted(known)
    ordered = sorted(known)
    place = bisect_left(ordered, word)
    beside = ordered[max(0, place - MOST_COMPARED // 4) : place + MOST_COMPARED // 4]
    return [*beside, *islice((one for one in ordered if word in one), MOST_COMPARED // 2)]
