"""Format explanations as text."""

import json
import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence

from kuma_sd.cli.render.style import Style
from kuma_sd.system.log_format import escape
from kuma_sd.telemetry.explanation import (
    ExplainedGroup,
    Explanation,
    ReceivedAssignment,
    SearchResult,
    Step,
    Trace,
    Verdict,
)

WIDTH = 110
"""Maximum length of a line with several labels."""

LONGEST = 300
"""Maximum length of a shown text, in characters; JSON output is not truncated."""

_STATES = {
    "held": "; its control plane no longer sends it, but the guard holds it",
    "expired": "; its control plane was not connected within max-age",
}


def as_text(origin: str, answer: SearchResult, style: Style, command: str = "kuma-sd explain") -> Iterator[str]:
    """Yield an explanation as lines of text: all steps for a single target, only results for several.

    Args:
        origin: a description of the targets' origin; empty for the daemon.
        answer: the search result, with at least one target.
        style: the colours.
        command: the command line to repeat the query.
    """
    if origin:
        yield from (style.dim(_shown(origin)), "")
    for target in answer.targets:
        yield style.bold(_shown(str(target.target)))
        yield from _verdicts(target.results, style)
    if len(answer.targets) == 1:
        yield from _details(answer.targets[0], style)
    else:
        first = answer.targets[0].target
        facts = {"mesh": first.mesh, "dataplane": first.dataplane, "control_plane": first.control_plane}
        matchers = ", ".join(f"{name}={json.dumps(value)}" for name, value in facts.items() if value)
        yield from ("", style.dim(_shown(f"For the steps, explain one of them: {command} {shlex.quote(matchers)}")))
    if answer.more:
        yield from ("", style.changed("There are more; --limit says how many are shown."))


def _verdicts(results: Iterable[tuple[str, Verdict]], style: Style) -> Iterator[str]:
    rows = list(results)
    width = max((len(outputs) for outputs, _ in rows), default=0)
    colours = {"published": style.added, **dict.fromkeys(("kept", "duplicate", "waiting"), style.changed)}
    for outputs, row in rows:
        verdict = colours.get(row.verdict, style.removed)(f"{row.verdict:<9}")
        yield f"  {_shown(outputs):<{width}}  {verdict}  {_shown(row.why) or ', '.join(map(_place, row.groups))}"


def _place(group: ExplainedGroup) -> str:
    return _shown(" ".join(group.targets) + (f" in {group.where}" if group.where else ""))


def _details(one: Explanation, style: Style) -> Iterator[str]:
    received = one.received
    size = f"{received.size} byte{'s' * (received.size != 1)}"
    yield ""
    yield f"{style.bold('received')}: {_shown(received.codec)}, {size}{_STATES.get(one.state, '')}"
    yield from _received(received, style)
    for outputs, traces in one.paths:
        yield ""
        yield style.bold(_shown(outputs))
        yield from _traces(traces, style)


def _received(received: ReceivedAssignment, style: Style) -> Iterator[str]:
    if received.failure:
        yield f"  {style.removed(_shown(received.failure))}"
        return
    for name in ("service", "address", "scheme", "metrics_path"):
        yield f"  {name.replace('_', ' '):<12}  {_shown(getattr(received, name)) or style.dim('none')}"
    lines = list(_wrapped(received.labels, 16))
    yield f"  {'labels':<12}  {lines[0] if lines else style.dim('none')}"
    yield from (f"{'':16}{line}" for line in lines[1:])


def _traces(traces: Sequence[Trace], style: Style) -> Iterator[str]:
    for number, trace in enumerate(traces, start=1):
        if len(traces) > 1:
            yield f"  label set {number} of {len(traces)}"
        yield from _trace(trace, style)


def _trace(trace: Trace, style: Style) -> Iterator[str]:
    for step in trace.steps:
        if step.outcome in ("dropped", "failed"):
            yield f"  {style.removed(f'{_shown(str(step))}: {step.outcome}')}"
        elif step.outcome == "unchanged":
            yield f"  {style.dim(f'{_shown(str(step))}: nothing to change')}"
        else:
            yield f"  {_shown(str(step))}"
            yield from _changes(step, style)
    if trace.group:
        yield f"  {style.added('target group')}: {_place(trace.group)}"
        yield from (f"    {line}" for line in _wrapped(trace.group.labels, 4))


def _changes(step: Step, style: Style) -> Iterator[str]:
    yield from (style.removed(f"    - {line}") for line in _wrapped(step.removed, 6))
    for name, (before, after) in step.changed.items():
        yield style.changed(f"    ~ {_pair(name, before)} → {_quoted(after)}")
    yield from (style.added(f"    + {line}") for line in _wrapped(step.added, 6))


def _wrapped(labels: Mapping[str, str], indent: int) -> Iterator[str]:
    """Yield lines with as many labels as fit."""
    line = ""
    for pair in (_pair(name, value) for name, value in sorted(labels.items())):
        if line and indent + len(line) + 2 + len(pair) > WIDTH:
            yield line
            line = ""
        line = f"{line}  {pair}" if line else pair
    if line:
        yield line


def _pair(name: str, value: str) -> str:
    return f"{_shown(name)}={_quoted(value)}"


def _quoted(value: str) -> str:
    return _shown(json.dumps(value, ensure_ascii=False))


def _shown(text: str) -> str:
    return escape(text if len(text) <= LONGEST else f"{text[:LONGEST]}… ({len(text)} characters)")
