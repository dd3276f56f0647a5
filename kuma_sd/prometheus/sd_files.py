"""Read target groups from files in Prometheus's file_sd format, written by any program."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import msgspec

from kuma_sd.core.decoding_errors import UNREADABLE
from kuma_sd.core.errors import KumaSDError, TransformError
from kuma_sd.core.model import Labels
from kuma_sd.core.publication import Publication
from kuma_sd.core.regular_file import open_regular
from kuma_sd.core.target_group import TargetGroup
from kuma_sd.core.yaml_nesting import refuse_deep_nesting
from kuma_sd.plugin.interfaces import Output
from kuma_sd.plugin.optional_interfaces import WritesFiles
from kuma_sd.system.trust_rules import UntrustedError
from kuma_sd.telemetry.diff_without_keys import NO_KEY

LARGEST_FILE = 2**30
"""Maximum size of a file that is read, in bytes."""

MOST_TARGETS = 5_000_000
"""Maximum number of targets in a file; with anchors, a small YAML file could hold a huge number."""


class _Group(msgspec.Struct):
    targets: list[str] | None = None
    labels: Labels | None = None


def selected(output: Output, publication: Publication) -> Sequence[TargetGroup]:
    """Return the groups that an output publishes: those in its files if it writes files, else all of them."""
    if not isinstance(output, WritesFiles):
        return publication.groups
    lines = set(itertools.chain.from_iterable(output.files(publication).values()))
    return tuple(group for group in publication.groups if group.json in lines)


def read_target_file(path: Path, open_file: Callable[[Path], BinaryIO] = open_regular) -> list[TargetGroup]:
    """Read the groups in a file of JSON or YAML.

    Each target becomes a group without a key, as kuma-sd would write it: labels sorted, empty ones left out.
    Duplicates are left out.

    Args:
        path: the file.
        open_file: opens it, or raises OSError.

    Raises:
        FileNotFoundError: there is no such file.
        UntrustedError: raised by `open_file`.
        KumaSDError: the file cannot be read, or has another format.
    """
    content = _content(path, open_file)
    try:
        groups = _yaml(content) if _is_yaml(path, content) else _json(content)
        lines = {target.json: target for target in _targets(groups)}
    except (ValueError, msgspec.MsgspecError, TransformError) as error:
        raise _no_target_file(path, " ".join(str(error).split())) from error
    except RecursionError as error:  # msgspec's bound for JSON
        raise _no_target_file(path, "it is nested too deeply") from error
    return list(lines.values())


def _no_target_file(path: Path, reason: str) -> KumaSDError:
    return KumaSDError(f"{str(path)!r} is no file for Prometheus's file_sd_configs: {reason}")


def _content(path: Path, open_file: Callable[[Path], BinaryIO]) -> bytes:
    try:
        with open_file(path) as file:
            content = file.read(LARGEST_FILE + 1)
    except (FileNotFoundError, UntrustedError):
        raise
    except OSError as error:
        raise KumaSDError(f"cannot read {str(path)!r}: {error.strerror}") from error
    if len(content) > LARGEST_FILE:
        raise KumaSDError(f"{str(path)!r} is larger than {LARGEST_FILE >> 30} GiB")
    return content


def _is_yaml(path: Path, content: bytes) -> bool:
    extension = path.suffix.lower()
    # Prometheus supports only these three extensions; other files are renamed by another program before it reads them.
    return extension in (".yml", ".yaml") or (extension != ".json" and content.lstrip()[:1] not in (b"", b"["))


def _targets(groups: list[_Group]) -> Iterator[TargetGroup]:
    count = 0
    for group in groups:
        count += len(group.targets or ())
        if count > MOST_TARGETS:
            raise ValueError(f"it has more than {MOST_TARGETS} targets")
        for address in group.targets or ():
            yield TargetGroup.render(NO_KEY, {**(group.labels or {}), "__address__": address})


def _json(content: bytes) -> list[_Group]:
    return msgspec.json.decode(content, type=list[_Group])


def _yaml(content: bytes) -> list[_Group]:
    # The format that kuma-sd writes, one item of JSON a line, is much faster to read.
    lines = content.splitlines()
    if all(line.startswith(b"- {") for line in lines):
        try:
            return msgspec.json.Decoder(_Group).decode_lines(b"\n".join(line[2:] for line in lines))
        except UNREADABLE:
            pass  # YAML of another program
    return msgspec.convert(_parsed_yaml(content), list[_Group])


def _parsed_yaml(content: bytes) -> Any:  # noqa: ANN401 (whatever it is)
    import yaml  # noqa: PLC0415 (only for files of others)

    # Every scalar is read as text, as Prometheus does for labels.
    loader: Any = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        refuse_deep_nesting(content, loader)
        return yaml.load(content, Loader=loader) or []  # noqa: S506 (makes lists, dictionaries and texts only)
    except yaml.YAMLError as error:
        raise ValueError(f"it is no YAML: {error}") from error
