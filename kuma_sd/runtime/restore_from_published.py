"""Restore published targets from the output files, for targets that are missing in the saved state.

The state may be exact and yet older than the files: another process used its directory for a while, or it was restored
from a backup. Then the files know what was published since.

A target that is known from a file only is a quarantined assignment. So it keeps the group from the file,
is held like any other if its control plane does not send it, and counts as changed if its control plane sends it.
"""

import contextlib
import dataclasses
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from operator import attrgetter
from pathlib import Path

import msgspec
from msgspec.structs import replace

from kuma_sd.core.errors import KumaSDError, NotReceivedError
from kuma_sd.core.logger import Logger
from kuma_sd.core.model import Assignment, Key, LastGoodTargets, Target
from kuma_sd.core.publication import Publication
from kuma_sd.core.target_group import GroupKey, TargetGroup
from kuma_sd.pipeline.control_plane import ControlPlaneConfig
from kuma_sd.pipeline.control_plane_matching import Identity, match
from kuma_sd.plugin.interfaces import Output
from kuma_sd.plugin.optional_interfaces import WritesFiles
from kuma_sd.prometheus.sd_files import read_target_file
from kuma_sd.state.restorer import Restored
from kuma_sd.system.trust_rules import UntrustedError
from kuma_sd.system.trusted_files import open_trusted

_log = Logger(__name__)

SLACK_SECONDS = 1.0
"""How long after the state an output may write its last file while a process stops, in seconds."""


class _Codec:
    """Reads nothing: only its group, the bytes, is known of such a target."""

    name = "published-file"

    def read(self, key: Key, data: bytes) -> Target:
        """Raise an error.

        Raises:
            NotReceivedError: always.
        """
        del key
        group = _DECODER.decode(data) if data else _Group(_Labels())
        place = ("".join(group.targets), group.labels.scheme, group.labels.metrics_path)
        raise NotReceivedError("only what is in the published file is known of it", place)


PUBLISHED = _Codec()


class _Labels(msgspec.Struct):
    # These labels are in all label profiles.
    control_plane: str = ""
    meta_control_plane: str = msgspec.field(default="", name="__meta_kuma_control_plane")
    mesh: str = ""
    meta_mesh: str = msgspec.field(default="", name="__meta_kuma_mesh")
    dataplane: str = ""
    meta_dataplane: str = msgspec.field(default="", name="__meta_kuma_dataplane")
    scheme: str = msgspec.field(default="", name="__scheme__")
    metrics_path: str = msgspec.field(default="", name="__metrics_path__")


class _Group(msgspec.Struct):
    labels: _Labels
    targets: list[str] = msgspec.field(default_factory=list)


_DECODER = msgspec.json.Decoder(_Group)


def published_groups(outputs: Iterable[Output]) -> dict[Key, TargetGroup]:
    """Return the groups in the outputs' files, by the keys in their labels; groups without such labels are foreign."""
    found: dict[Key, TargetGroup] = {}
    for output in outputs:
        if isinstance(output, WritesFiles):
            every = [groups_in(path) for path in output.files(Publication((), 0.0))]
            groups = list(itertools.chain.from_iterable(every))
            if len(every) > 1:
                # In which of several files a target is depends on its ordinal, so their order must not decide on that.
                groups.sort(key=attrgetter("json"))
            # One that stays in its old part for a while is in two files.
            found |= _by_key({group.json: group for group in groups}.values())
    return found


def published_at(outputs: Iterable[Output]) -> float:
    """Return when the outputs' files were changed last, in seconds of ``time.time()``; 0 if there are none."""
    newest = 0.0
    for output in outputs:
        if isinstance(output, WritesFiles):
            for path in output.files(Publication((), 0.0)):
                # One that cannot be looked at is no memory either.
                with contextlib.suppress(OSError):
                    newest = max(newest, path.stat().st_mtime)
    return newest


def unless_published_since(restored: Restored, changed: float) -> Restored:
    """Return what was saved, as not exact if something was published after the process that saved it stopped.

    Args:
        restored: what was saved.
        changed: when the published files were changed last, in seconds of ``time.time()``.
    """
    if restored.stopped is None or changed <= restored.stopped + SLACK_SECONDS:
        return restored
    _log.info("the saved state is older than a published file; the targets that it lacks are read from there")
    return replace(restored, stopped=None)


def completed(
    restored: Restored, configs: Sequence[ControlPlaneConfig], published: Callable[[], Mapping[Key, TargetGroup]]
) -> Restored:
    """Add what was published to what was saved, unless that is exact: then what it lacks was let go.

    The saved targets of a control plane may be missing, or unreadable, although those of others are exact. Then the
    files are its memory.

    Args:
        restored: what was saved.
        configs: the configurations of the control planes; what was saved of one that is not saved now is outdated.
        published: returns what is in the files; not called if everything was saved exactly.
    """
    identities = {place: _identity(saved) for place, saved in enumerate(restored.last_good)}
    matched = match(identities, {config: config.identity for config in configs})
    if restored.exact and all(config in matched and config.is_saved for config in configs):
        return restored
    outdated = {place for config, place in matched.items() if not config.is_saved}
    kept = [saved for place, saved in enumerate(restored.last_good) if place not in outdated]
    # Of two that were swapping their names, the first.
    last_good = {saved.published_name: saved for saved in reversed(kept)}
    others = [saved for saved in kept if last_good[saved.published_name] is not saved]
    # What was renamed just before a crash may be saved under its old name, and published under both.
    old_names = {config.name: restored.last_good[place].published_name for config, place in matched.items()}
    groups = published()
    for name in sorted({key.control_plane for key in groups}):
        saved_as = name if name in last_good else old_names.get(name, name)
        if restored.exact and saved_as in last_good:
            continue
        saved = last_good.get(saved_as, LastGoodTargets(name, frozenset(), (), 0.0))
        # A name that is not in the settings may be one that a transform made, or that of a removed control plane.
        is_foreign = restored.exact and all(config.name != name for config in configs)
        names = _names([*kept, *restored.removed] if is_foreign else [saved])
        new = [key for key in groups if key.control_plane == name and (key.mesh, key.name) not in names]
        if new:
            last_good[saved_as] = _with_published(saved, {key: groups[key] for key in new})
    return replace(restored, last_good=(*last_good.values(), *others))


def _identity(saved: LastGoodTargets) -> Identity:
    return Identity(saved.name, saved.endpoints | saved.configured)


def _names(last_good: Iterable[LastGoodTargets]) -> set[tuple[str, str]]:
    return {(entry.key.mesh, entry.key.name) for saved in last_good for entry in saved.assignments}


def _with_published(saved: LastGoodTargets, groups: Mapping[Key, TargetGroup]) -> LastGoodTargets:
    found = [Assignment(replace(key, control_plane=saved.name), group.json, PUBLISHED) for key, group in groups.items()]
    _log.info("restored targets from published files", control_plane=saved.name, targets=len(found))
    return dataclasses.replace(saved, assignments=sorted([*saved.assignments, *found]))


def groups_in(path: Path) -> list[TargetGroup]:
    """Return the groups in a file; empty if it is missing, unreadable or of another user. The latter two are logged."""
    try:
        return read_target_file(path, open_trusted)
    except FileNotFoundError:
        return []
    except UntrustedError as error:
        _log.warning("a published file is not believed, it counts as missing", reason=error.strerror)
        return []
    except KumaSDError as error:
        _log.warning("cannot read the published file, its targets are unknown", reason=str(error))
        return []


def _by_key(groups: Iterable[TargetGroup]) -> dict[Key, TargetGroup]:
    ordinals: Counter[tuple[str, str, str]] = Counter()
    found = {}
    for group in groups:
        labels = _DECODER.decode(group.json).labels
        name = (
            labels.control_plane or labels.meta_control_plane,
            labels.mesh or labels.meta_mesh,
            labels.dataplane or labels.meta_dataplane,
        )
        if name[1] and name[2]:
            key = Key(*name, ordinals[name])
            ordinals[name] += 1
            found[key] = TargetGroup(GroupKey(key, 0), group.json)
    return found
