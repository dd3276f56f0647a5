"""Read received targets from the place that the option ``--from`` names."""

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import urlencode

import msgspec

from kuma_sd.cli.main import argument_type
from kuma_sd.core.errors import ConfigError
from kuma_sd.core.model import Snapshot
from kuma_sd.core.option_types import DURATION
from kuma_sd.runtime.builder import Components
from kuma_sd.runtime.one_shot import collect
from kuma_sd.settings.default_control_socket import default_control_socket
from kuma_sd.settings.model import ControlPlaneSettings, Settings
from kuma_sd.state.offline_reader import read_snapshot
from kuma_sd.web.client import NoDaemonError, download

DAEMON, CONTROL_PLANE, FILE = "daemon", "control-plane", "file:"


class ReceivedTargets(msgspec.Struct, frozen=True):
    """Received targets.

    Args:
        origin: a description of their origin.
        snapshots: one for each control plane, in the order of their names.
        remarks: notes for the user, one sentence each.
    """

    origin: str
    snapshots: Sequence[Snapshot]
    remarks: Sequence[str] = ()


def add_from(parser: argparse.ArgumentParser) -> None:
    """Declare ``--from`` and ``--timeout``."""
    parser.add_argument(
        "--from",
        dest="origin",
        metavar=f"{DAEMON}|{CONTROL_PLANE}|{FILE}PATH",
        default=DAEMON,
        type=_parse,
        help="take the targets of the running daemon, after its guard; those that the control planes send now; or "
        f"those of a saved snapshot (default: {DAEMON})",
    )
    parser.add_argument(
        "--timeout",
        type=argument_type(DURATION),
        metavar="DURATION",
        default=30.0,
        help=f"how long to wait for the control planes with --from {CONTROL_PLANE} (default: 30s)",
    )


def receive(arguments: argparse.Namespace, settings: Settings, components: Components) -> ReceivedTargets:
    """Read the targets from the place that ``--from`` names.

    Args:
        arguments: the values of ``--from`` and ``--timeout``.
        settings: the settings with the control socket and the control planes.
        components: the components built from them.

    Raises:
        KumaSDError: the targets are not available.
    """
    if arguments.origin == DAEMON:
        return _from_daemon(control_socket(settings), settings.control_planes)
    if arguments.origin == CONTROL_PLANE:
        control_planes = ", ".join(control_plane.title for control_plane in settings.control_planes)
        return ReceivedTargets(f"from the control planes now: {control_planes}", collect(components, arguments.timeout))
    return _from_file(Path(arguments.origin.removeprefix(FILE)), settings.control_planes)


def control_socket(settings: Settings) -> Path:
    """Return the path of the daemon's control socket."""
    return settings.core.control_socket or default_control_socket(os.environ)


def _parse(text: str) -> str:
    if text in (DAEMON, CONTROL_PLANE) or text.removeprefix(FILE) not in ("", text):
        return text
    raise argparse.ArgumentTypeError(f"{text!r} is not one of {DAEMON}, {CONTROL_PLANE}, {FILE}PATH")


def _from_daemon(path: Path, control_planes: Sequence[ControlPlaneSettings]) -> ReceivedTargets:
    try:
        with download(path, "/-/received") as file:
            known = msgspec.json.decode(file.read_bytes(), type=dict[str, str])
    except NoDaemonError as error:
        error.remark(f"or use --from {CONTROL_PLANE}")
        raise
    snapshots, remarks = [], []
    for control_plane in sorted(control_planes, key=lambda settings: settings.name):
        name = _its_name(control_plane, known)
        if name is None:
            remarks.append(f"control plane {control_plane.title} is new: the daemon knows none of its targets")
            continue
        if known[name] != str(control_plane.address):
            remarks.append(f"control plane {control_plane.title} moves: these are the targets of {known[name]}")
        with download(path, f"/-/received?{urlencode({'control-plane': name})}") as file:
            snapshots.append(read_snapshot(file, control_plane.name))
    remarks = [f"{remark}; --from {CONTROL_PLANE} asks it" for remark in remarks]
    return ReceivedTargets(f"from the daemon at {str(path)!r}, after its guard", snapshots, remarks)


def _its_name(one: ControlPlaneSettings, known: Mapping[str, str]) -> str | None:
    """Return the daemon's name of a control plane: the same name, or the name of the one with the same address."""
    if one.name in known:
        return one.name
    return next((name for name, address in known.items() if address == str(one.address)), None)


def _from_file(path: Path, control_planes: Sequence[ControlPlaneSettings]) -> ReceivedTargets:
    if len(control_planes) > 1:
        names = " ".join(f"--cp-address={control_plane.name}={FILE}PATH" for control_plane in control_planes)
        raise ConfigError(
            f"--from {FILE}PATH holds the targets of one control plane, and there are {len(control_planes)}; use: "
            f"--from {CONTROL_PLANE} {names}"
        )
    return ReceivedTargets(f"from the saved snapshot {str(path)!r}", [read_snapshot(path, control_planes[0].name)])
