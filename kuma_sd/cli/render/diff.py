"""Format differences as text or JSON."""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

import msgspec

from kuma_sd.cli.received_targets import ReceivedTargets
from kuma_sd.cli.render.style import Style
from kuma_sd.core.text import counted
from kuma_sd.system.log_format import escape
from kuma_sd.telemetry.diff_without_keys import DiffCounts, Difference, Pair

MOST_SERVICES = 20
"""Maximum number of lines with counts per mesh and service of an output."""


class OutputDifference(msgspec.Struct, frozen=True):
    """The changes of an output.

    Args:
        name: the output.
        against: a description of the compared publication.
        before: current number of targets.
        after: future number of targets; None if the new settings do not have the output.
        difference: the difference between both.
        failing: number of quarantined targets, which are left out.
    """

    name: str
    against: str
    before: int
    after: int | None
    difference: Difference
    failing: int = 0

    @property
    def exists(self) -> bool:
        """Whether there is any difference."""
        return self.after is None or self.difference.counts.total > 0


def as_json(received: ReceivedTargets, outputs: Iterable[OutputDifference], limit: int | None) -> str:
    """Return all differences as one JSON object.

    Args:
        received: the received targets.
        outputs: the outputs' changes.
        limit: maximum number of targets listed for each output; None for all.
    """
    whole = {
        "from": received.origin,
        "remarks": list(received.remarks),
        "outputs": [_output_as_json(output, limit) for output in outputs],
    }
    return json.dumps(whole, indent=2, ensure_ascii=False)


def as_text(received: ReceivedTargets, outputs: Iterable[OutputDifference], limit: int, style: Style) -> Iterator[str]:
    """Yield the differences as lines of text.

    Args:
        received: the received targets.
        outputs: the outputs' changes.
        limit: maximum number of targets listed for each output.
        style: the colours.
    """
    outputs = list(outputs)
    yield f"Targets {escape(received.origin)}"
    for sentence in received.remarks:
        yield style.changed(escape(sentence))
    for output in outputs:
        yield from _summary(output, style)
    alike: dict[tuple[str, ...], list[str]] = {}
    for output in outputs:
        if output.after is not None and output.difference.counts.total:
            alike.setdefault(tuple(_details(output, limit, style)), []).append(escape(output.name))
    for details, names in alike.items():
        yield ""
        title = f"output {names[0]}" if len(names) == 1 else f"outputs {', '.join(names)}"
        yield f"{style.bold(title)}:"
        yield from details


def _summary(one: OutputDifference, style: Style) -> Iterator[str]:
    yield ""
    yield f"{style.bold(f'output {escape(one.name)}')}: {_verdict(one, style)}"
    yield style.dim(f"  against {escape(one.against)}")
    if one.failing:
        yield style.removed(f"  {counted(one.failing, 'target')} left out: a transform fails, the log says why")
    if one.after is None:
        return
    services = one.difference.services
    for (mesh, service), counts in islice(services.items(), MOST_SERVICES):
        yield f"  mesh {_quoted(mesh)}, service {_quoted(service)}: {_counts(counts, style)}"
    if len(services) > MOST_SERVICES:
        yield f"  and {len(services) - MOST_SERVICES} more services"


def _verdict(one: OutputDifference, style: Style) -> str:
    if one.after is None:
        return style.removed(f"not in the new settings; its {counted(one.before, 'target')} are left as they are")
    if not one.difference.counts.total:
        return f"no difference, {counted(one.after, 'target')}"
    return f"{_counts(one.difference.counts, style)}; {one.before:,} → {counted(one.after, 'target')}"


def _counts(counts: DiffCounts, style: Style) -> str:
    parts = [style.removed(f"{counts.removed:,} removed")] if counts.removed else []
    parts += [style.changed(f"{counts.changed:,} changed")] if counts.changed else []
    parts += [style.added(f"{counts.added:,} added")] if counts.added else []
    return ", ".join(parts)


def _details(one: OutputDifference, limit: int, style: Style) -> Iterator[str]:
    difference, total = one.difference, one.difference.counts.total
    # Removed targets first: they matter most, and the limit must not hide them.
    lines = (
        *(style.removed(f"- {_title(pair)}") for pair in difference.removed[:limit]),
        *(f"{style.changed(f'~ {_title(pair)}')}  {_labels(pair)}" for pair in difference.changed[:limit]),
        *(style.added(f"+ {_title(pair)}") for pair in difference.added[:limit]),
    )
    yield from lines[:limit]
    if total > limit:
        yield f"and {total - limit} more; --limit {total} shows all"


def _title(pair: Pair) -> str:
    target = pair.target
    name, mesh = (escape(text) for text in (target.name, target.mesh))
    return escape(target.address) + (f" {name}" if name else "") + (f" (mesh {mesh})" if mesh else "")


def _labels(pair: Pair) -> str:
    return ", ".join(f"{escape(name)}: {_quoted(before)} → {_quoted(after)}" for name, before, after in pair.labels)


def _quoted(text: str | None) -> str:
    return "none" if text is None else escape(json.dumps(text, ensure_ascii=False))


def _output_as_json(one: OutputDifference, limit: int | None) -> dict[str, Any]:
    difference = one.difference
    pairs = [("removed", pair) for pair in difference.removed]
    pairs += [("changed", pair) for pair in difference.changed]
    pairs += [("added", pair) for pair in difference.added]
    return {
        "output": one.name,
        "against": one.against,
        "targets_before": one.before,
        "targets_after": one.after,
        **_counts_as_json(difference.counts),
        "failing": one.failing,
        "services": [
            {"mesh": mesh, "service": service, **_counts_as_json(counts)}
            for (mesh, service), counts in difference.services.items()
        ],
        "targets": [_pair_as_json(change, pair) for change, pair in pairs[:limit]],
    }


def _counts_as_json(counts: DiffCounts) -> dict[str, int]:
    return dict(zip(DiffCounts._fields, counts, strict=True))


def _pair_as_json(change: str, pair: Pair) -> dict[str, Any]:
    target = pair.target
    return {
        "change": change,
        "mesh": target.mesh,
        "service": target.service,
        "dataplane": target.name,
        "before": pair.before.labels if pair.before else None,
        "after": pair.after.labels if pair.after else None,
    }
