"""Foresee what the daemon would refuse or fail at for good, for `kuma-sd check`. Nothing is made, locked or changed.

Every judgement is that of the code which does the work. What depends on the user is judged only if the daemon can run
as this one: of what another user may read or write, nothing is known.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from kuma_sd.core.errors import ConfigError, Mistakes
from kuma_sd.core.publication import Publication
from kuma_sd.plugin.optional_interfaces import ForeseesFailures, WritesFiles
from kuma_sd.runtime.builder import Components
from kuma_sd.runtime.named_files import check_named_files
from kuma_sd.settings.model import Settings
from kuma_sd.settings.schema import CORE
from kuma_sd.state.directory_check import check_state_directory


def check_failures(settings: Settings, components: Components) -> None:
    """Reject settings with which the daemon would fail.

    Args:
        settings: the settings.
        components: what they describe, as far as it can be built.

    Raises:
        ConfigError: with each reason, and its place in the settings.
    """
    as_daemon, mistakes = can_be_daemons_user(settings.core.state_dir, _directories(components)), Mistakes()
    mistakes.attempt(check_named_files, settings, as_daemon=as_daemon)
    mistakes.attempt(_check_state, settings, as_daemon=as_daemon)
    for named, output in components.outputs.values():
        if isinstance(output, ForeseesFailures):
            for error in output.failures(as_daemon=as_daemon):
                mistakes.add(_placed(error.within(f"output {named.name}"), named.name, settings))
    mistakes.check()


def can_be_daemons_user(state_dir: Path, directories: list[Path]) -> bool:
    """Tell whether the daemon can run as this user.

    Root may write everything, so that for root the owner decides.

    Args:
        state_dir: the state directory. If it is there, its user is the daemon's.
        directories: those of the outputs, for a daemon that has not run yet.
    """
    try:
        return _is_ours(state_dir, state_dir.stat())
    except OSError:
        # It is not there, or this user may not look.
        return any(map(_would_be_ours, [state_dir, *directories]))


def _would_be_ours(path: Path) -> bool:
    """Tell whether this user could make a directory, or may write it if it is there."""
    for place in (path.absolute(), *path.absolute().parents):
        try:
            return _is_ours(place, place.stat())
        except OSError:
            continue
    return False


def _is_ours(path: Path, status: os.stat_result) -> bool:
    us = os.geteuid()
    return status.st_uid == us or (us != 0 and os.access(path, os.W_OK | os.X_OK, effective_ids=True))


def _directories(components: Components) -> list[Path]:
    return list(dict.fromkeys(_files(components)))


def _files(components: Components) -> Iterator[Path]:
    for _, output in components.outputs.values():
        if isinstance(output, WritesFiles):
            yield from (path.parent for path in output.files(Publication((), 0.0)))


def _check_state(settings: Settings, *, as_daemon: bool) -> None:
    try:
        check_state_directory(settings.core.state_dir, as_daemon=as_daemon)
    except ConfigError as error:
        _placed(error, CORE, settings)
        raise


def _placed(error: ConfigError, name: str, settings: Settings) -> ConfigError:
    """Put the place in the settings in front of a message."""
    place = settings.place(name, error.option)
    return error.within(place) if place else error
