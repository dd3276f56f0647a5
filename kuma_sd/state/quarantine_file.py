"""Save what is published of quarantined targets: they cannot be converted again after a restart."""

import zlib
from collections.abc import Container, Mapping
from itertools import chain

import msgspec

from kuma_sd.core.decoding_errors import UNREADABLE
from kuma_sd.core.logger import Logger
from kuma_sd.core.target_group import TargetGroup
from kuma_sd.state.directory import StateDirectory
from kuma_sd.state.file_names import QUARANTINED
from kuma_sd.system.trusted_files import open_trusted_in

_log = Logger(__name__)


class QuarantinedGroups(msgspec.Struct, frozen=True):
    """What is published of quarantined targets.

    Args:
        groups: it, by the names of the outputs that publish it; outputs without any are left out.
        files: the files of the control planes by the names in the keys of these groups: a control plane keeps its file
            when it gets another name, and what is saved in that may be newer or older than this.
    """

    groups: Mapping[str, tuple[TargetGroup, ...]] = {}
    files: Mapping[str, str] = {}

    def of(self, outputs: Container[str]) -> list[TargetGroup]:
        """Return what one of these outputs publishes, or else what any does."""
        named = [groups for name, groups in self.groups.items() if name in outputs]
        return list(chain.from_iterable(named or self.groups.values()))


NONE_QUARANTINED = QuarantinedGroups()

_DECODER = msgspec.msgpack.Decoder(QuarantinedGroups)

_CHECKSUM_BYTES = 4


class QuarantineFile:
    """The file with the groups of quarantined targets. It is made when there are some, and empty when there are none.

    Args:
        directory: the state directory.
    """

    def __init__(self, directory: StateDirectory) -> None:
        self._directory = directory
        self._newest: QuarantinedGroups = NONE_QUARANTINED
        self._written: QuarantinedGroups = NONE_QUARANTINED

    @property
    def pending(self) -> bool:
        """Whether the newest groups are not saved."""
        return self._newest != self._written

    @property
    def files(self) -> list[str]:
        """The names of the files that were written and hold groups."""
        return [] if self._written == NONE_QUARANTINED else [QUARANTINED]

    def read(self) -> QuarantinedGroups:
        """Return what is saved, nothing if it cannot be read. The directory must be locked."""
        try:
            with open_trusted_in(self._directory.opened, QUARANTINED) as file:
                self._newest = self._written = _decoded(file.read())
        except FileNotFoundError:
            pass
        except (OSError, *UNREADABLE, ValueError) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            _log.warning("the saved groups of quarantined targets cannot be read", reason=reason)
        return self._written

    def note(self, groups: QuarantinedGroups) -> None:
        """Take the newest groups, to be saved by `write()`."""
        self._newest = groups

    def forget(self) -> None:
        """Save everything again: the directory was emptied or replaced."""
        self._written = NONE_QUARANTINED

    def write(self) -> None:
        """Save the newest groups, if they are not saved.

        Raises:
            KumaSDError: they cannot be written.
        """
        if self.pending:
            newest = self._newest
            content = msgspec.msgpack.encode(newest)
            self._directory.write(QUARANTINED, [_checksum(content), content])
            self._written = newest


def _decoded(content: bytes) -> QuarantinedGroups:
    if _checksum(content[_CHECKSUM_BYTES:]) != content[:_CHECKSUM_BYTES]:
        raise ValueError("it is damaged")
    return _DECODER.decode(content[_CHECKSUM_BYTES:])


def _checksum(content: bytes) -> bytes:
    return zlib.crc32(content).to_bytes(_CHECKSUM_BYTES, "big")
