"""Group problems that several control planes or outputs have for the same reason."""

from collections.abc import Iterable, Iterator

from msgspec.structs import replace

from kuma_sd.telemetry.status import Problem

MOST_NAMES = 6
"""Maximum number of names listed in a group."""

_TOGETHER = {"disconnected": "control planes are not connected", "failing": "outputs fail"}
"""Text for a group, by kind of problem; problems of other kinds are not grouped."""


def alike(problems: Iterable[Problem]) -> Iterator[Problem]:
    """Yield the problems; those of the same kind and reason are joined at the position of the first."""
    groups: dict[tuple[str, ...], list[Problem]] = {}
    for number, problem in enumerate(problems):
        alone = "" if problem.kind in _TOGETHER else str(number)
        groups.setdefault((problem.kind, problem.level, problem.why, alone), []).append(problem)
    for group in groups.values():
        yield group[0] if len(group) == 1 else _together(group)


def _together(group: list[Problem]) -> Problem:
    names = [problem.control_plane or problem.output or "(no name)" for problem in group]
    more = f" and {len(names) - MOST_NAMES:,} more" if len(names) > MOST_NAMES else ""
    what = f"{len(names):,} {_TOGETHER[group[0].kind]}: {', '.join(names[:MOST_NAMES])}{more}"
    return replace(group[0], what=what)
