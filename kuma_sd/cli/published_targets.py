"""Find the published targets of outputs: in the daemon, or in files."""

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol
from urllib.parse import urlencode

import msgspec

from kuma_sd.core.errors import KumaSDError
from kuma_sd.core.target_group import TargetGroup
from kuma_sd.core.text import counted
from kuma_sd.prometheus.sd_files import read_target_file
from kuma_sd.web.client import NoDaemonError, download
from kuma_sd.web.endpoints.published import groups_in


class PublishedTargets(NamedTuple):
    """The published targets of an output.

    Args:
        where: a description of their origin.
        groups: the published groups; each JSON line once.
    """

    where: str
    groups: Sequence[TargetGroup]


class Published(Protocol):
    """A place with published targets."""

    @property
    def names(self) -> Collection[str]:
        """The names of the outputs known there, if outputs have names there."""

    def of(self, name: str, paths: Sequence[Path]) -> PublishedTargets:
        """Return the published targets of an output.

        Args:
            name: the output.
            paths: the files of the output.

        Raises:
            KumaSDError: the published targets are not available.
        """


def published(against: Path | None, control_socket: Path) -> Published:
    """Choose the place to read published targets from.

    Args:
        against: a file named by the user; if None, the daemon, or the outputs' files if no daemon runs.
        control_socket: the daemon's control socket.

    Raises:
        KumaSDError: a daemon runs but does not respond.
    """
    if against:
        return _OneFile(against)
    try:
        with download(control_socket, "/-/published") as file:
            return _Daemon(control_socket, msgspec.json.decode(file.read_bytes(), type=dict[str, str]))
    except NoDaemonError:
        return _OwnFiles()


class _OneFile(msgspec.Struct, frozen=True):
    path: Path
    names: Collection[str] = ()

    def of(self, _name: str, _paths: Sequence[Path]) -> PublishedTargets:
        try:
            return PublishedTargets(f"the file {str(self.path)!r}", read_target_file(self.path))
        except FileNotFoundError as error:
            raise KumaSDError(f"there is no file {str(self.path)!r} to compare with") from error


class _Daemon(msgspec.Struct, frozen=True):
    control_socket: Path
    names: Collection[str]

    def of(self, name: str, _paths: Sequence[Path]) -> PublishedTargets:
        if name not in self.names:
            return PublishedTargets("nothing: the daemon has no output of this name", ())
        with download(self.control_socket, f"/-/published?{urlencode({'output': name})}") as file:
            try:
                return PublishedTargets("what the daemon published last", list(groups_in(file)))
            except ValueError as error:
                raise KumaSDError(f"cannot parse the published targets from the daemon: {error}") from error


class _OwnFiles(msgspec.Struct, frozen=True):
    names: Collection[str] = ()

    def of(self, name: str, paths: Sequence[Path]) -> PublishedTargets:
        if not paths:
            raise NoDaemonError(
                f"no daemon runs that could say what output {name} has published, and it has no file; "
                f"compare with one by --only {name} --against FILE"
            )
        groups: dict[bytes, TargetGroup] = {}
        missing = []
        for path in paths:
            try:
                groups.update((target.json, target) for target in read_target_file(path))
            except FileNotFoundError:
                missing.append(path)
        return PublishedTargets(_where(paths, missing), list(groups.values()))


def _where(paths: Sequence[Path], missing: Sequence[Path]) -> str:
    if not missing:
        return f"the file {_named(paths)}, since no daemon runs"
    if len(missing) == len(paths):
        return f"nothing: no daemon runs, and {_named(missing)} is not there"
    return f"its files, of which {_named(missing)} is not there, since no daemon runs"


def _named(paths: Sequence[Path]) -> str:
    more = f" and {counted(len(paths) - 1, 'other file')}" if len(paths) > 1 else ""
    return f"{str(paths[0])!r}{more}"
