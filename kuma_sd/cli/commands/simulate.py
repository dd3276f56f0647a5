"""Run a simulated control plane to try things on, until stopped by SIGTERM or Ctrl-C.

Examples:
  kuma-sd simulate --listen 127.0.0.1:5676 --targets 100 --churn 1
  kuma-sd simulate --kuma-version 0.7.3 --api-listen 127.0.0.1:5681
  kuma-sd simulate --kuma-version 2.14.3 --tls-cert-file cert.pem --tls-key-file key.pem
  kuma-sd simulate --kuma-version 3.0 --environment kubernetes --api-listen 127.0.0.1:5681
  kuma-sd simulate --kuma-version 2.14.3 --zone east --zone west --api-listen 127.0.0.1:5681
  kuma-sd simulate --kuma-version 2.14.3 --no-mads --api-listen 127.0.0.1:5681
  kuma-sd simulate --replay tests/data/kuma-2.6.15 --interval 2s

Serves MADS as Kuma does: every version of it at once, over gRPC and HTTP on one port, or only what one version of Kuma
serves. The dataplanes are generated and change all the time, or come from a recording of a real control plane. A
recording is played once, step by step, restarts of the control plane included. Then its last state stays.

The first line on stdout says where it listens. Other lines report clients that connect or disconnect, and the steps of
a recording.
"""

import argparse
import math
import signal
import ssl
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from kuma_sd.cli.main import argument_type
from kuma_sd.core.errors import ConfigError
from kuma_sd.core.option_types import DURATION, NUMBER, PATH
from kuma_sd.core.options import OptionType

if TYPE_CHECKING:
    from kuma_sd.settings.model import Settings
    from kuma_sd.simulator import GeneratedWorld, Recording, SimulatedControlPlane

W = TypeVar("W", "GeneratedWorld", "Recording")

TAKES_SETTINGS = False

STOPPING_SIGNALS = {signal.SIGTERM, signal.SIGINT}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "--listen",
        metavar="HOST:PORT",
        type=argument_type(ADDRESS),
        default="127.0.0.1:5676",
        help="address to listen at; port 0 is any free one (default: 127.0.0.1:5676)",
    )
    parser.add_argument(
        "--refresh",
        metavar="DURATION",
        type=argument_type(DURATION),
        default=1.0,
        help="minimum time between two responses; changes in between are sent together (default: 1s, as Kuma)",
    )
    _add_kuma_arguments(parser.add_argument_group("the simulated Kuma"))
    generated = parser.add_argument_group("generated dataplanes")
    add_world_arguments(generated, targets=100)
    generated.add_argument(
        "--seed",
        metavar="NUMBER",
        type=argument_type(NUMBER),
        help="equal seeds generate equal dataplanes and equal changes (default: 1)",
    )
    recorded = parser.add_argument_group("a recording")
    recorded.add_argument(
        "--replay",
        metavar="FOLDER",
        type=argument_type(PATH),
        help="folder with the recorded traffic; nothing is generated then",
    )
    recorded.add_argument(
        "--interval",
        metavar="DURATION",
        type=argument_type(INTERVAL),
        help="time from one recorded step to the next (default: 2s)",
    )


def _add_kuma_arguments(parser: argparse._ArgumentGroup) -> None:
    parser.add_argument(
        "--kuma-version",
        metavar="VERSION",
        help="serve what this version of Kuma serves, 0.3.2 to 3.0 (default: every protocol)",
    )
    parser.add_argument(
        "--api-listen",
        metavar="HOST:PORT",
        type=argument_type(ADDRESS),
        help="where the API server listens: /config, /catalog, which names MADS up to Kuma 0.7.3, and lists of "
        "dataplanes, meshes and policies (default: nowhere)",
    )
    parser.add_argument(
        "--no-mads", action="store_true", help="switch MADS off, which leaves the API (since Kuma 2.14; default: on)"
    )
    add_environment_argument(parser)
    parser.add_argument(
        "--zone",
        metavar="NAME",
        action="append",
        default=[],
        help="simulate a global control plane with this zone: it has an API but no MADS; repeatable (default: none)",
    )
    for name, what in (("cert", "certificate"), ("key", "key of the certificate")):
        parser.add_argument(
            f"--tls-{name}-file",
            metavar="FILE",
            type=argument_type(PATH),
            help=f"the {what}, as PEM, for MADS with TLS (since Kuma 2.0) and the API server",
        )
    parser.add_argument(
        "--client",
        metavar="NAME",
        action="append",
        default=[],
        help="a client that a MeshMetric names; since Kuma 2.6 others get nothing then; repeatable (default: none)",
    )


def add_environment_argument(parser: argparse._ActionsContainer) -> None:
    """Declare the flag that says where Kuma runs."""
    parser.add_argument(
        "--environment",
        choices=("universal", "kubernetes"),
        default="universal",
        help="where Kuma runs; on Kubernetes, Kuma 3 has an API but no MADS (default: universal)",
    )


def add_world_arguments(parser: argparse._ActionsContainer, targets: int) -> None:
    """Declare the flags of a generated world; their default is None."""
    parser.add_argument(
        "--targets", metavar="NUMBER", type=argument_type(COUNT), help=f"number of dataplanes (default: {targets})"
    )
    parser.add_argument(
        "--churn",
        metavar="RATE",
        type=argument_type(RATE),
        help="changes a second; 0.1 is one in ten seconds, 0 none (default: 1)",
    )


def execute(arguments: argparse.Namespace, settings: "Settings | None") -> int:  # noqa: ARG001 (the contract of commands)
    """Serve until stopped."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING_SIGNALS)
    if arguments.replay:
        _refuse(arguments, ("targets", "churn", "seed"), "a recording is played as it is, without --{}")
        _replay(arguments)
    else:
        _refuse(arguments, ("interval",), "only a recording, chosen with --replay, has an --{}")
        _generate(arguments)
    return 0


def until_stopped(interval: float, step: Callable[[], None], look: Callable[[], object]) -> None:
    """Wait for SIGTERM or SIGINT, which must be blocked.

    Args:
        interval: the time between two steps, in seconds; infinity for no steps.
        step: called at each step.
        look: called after each step, and often between steps.

    """
    due = time.monotonic() + interval
    while not signal.sigtimedwait(STOPPING_SIGNALS, min(max(0.0, due - time.monotonic()), 0.1)):
        if time.monotonic() >= due:
            due += interval
            step()
        look()


def interval_of(churn: float) -> float:
    """Convert changes per second to seconds between changes."""
    return 1 / churn if churn else math.inf


def _generate(arguments: argparse.Namespace) -> None:
    # Imported late, so that help does not load gRPC.
    from kuma_sd.simulator import GeneratedWorld  # noqa: PLC0415

    targets = 100 if arguments.targets is None else arguments.targets
    churn = 1.0 if arguments.churn is None else arguments.churn
    world = GeneratedWorld(targets, 1 if arguments.seed is None else arguments.seed)
    with _control_plane(arguments, world) as control_plane:
        _announce(control_plane, f"{targets} dataplanes, changes a second: {churn:g}")
        until_stopped(interval_of(churn), world.change, _Clients(control_plane).look)


def _replay(arguments: argparse.Namespace) -> None:
    from kuma_sd.simulator import Recording  # noqa: PLC0415 (as above)

    recording = Recording(arguments.replay)
    with _control_plane(arguments, recording) as control_plane:
        _announce(control_plane, f"step {recording.step.name} of {arguments.replay}")
        interval = 2.0 if arguments.interval is None else arguments.interval
        until_stopped(interval, lambda: _advance(control_plane), _Clients(control_plane).look)


def _control_plane(arguments: argparse.Namespace, world: W) -> "SimulatedControlPlane[W]":
    from kuma_sd.simulator import EVERYTHING, ApiServer, SimulatedControlPlane, kuma  # noqa: PLC0415 (as above)

    line = EVERYTHING if arguments.kuma_version is None else kuma(arguments.kuma_version)
    tls = _tls(arguments.tls_cert_file, arguments.tls_key_file)
    host, _, port = arguments.listen.rpartition(":")
    api = None
    if arguments.api_listen:
        api_host, _, api_port = arguments.api_listen.rpartition(":")
        kubernetes = arguments.environment == "kubernetes"
        api = ApiServer(
            api_host, int(api_port), tls, kubernetes=kubernetes, zones=arguments.zone, has_mads=not arguments.no_mads
        )
    elif arguments.zone or arguments.no_mads or (arguments.environment == "kubernetes" and not line.mads_on_kubernetes):
        raise ConfigError("such a control plane has no MADS, only an API: say where with --api-listen")
    # Before Kuma 2.0 the API server supported TLS, but MADS did not.
    mads_tls = tls if line.tls or not api else None
    control_plane = SimulatedControlPlane(world, host, int(port), arguments.refresh, line=line, tls=mads_tls, api=api)
    control_plane.serve_only(*arguments.client)
    return control_plane


def _tls(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if not (certificate and key):
        if certificate or key:
            raise ConfigError("--tls-cert-file and --tls-key-file go together")
        return None
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    try:
        context.load_cert_chain(certificate, key)
    except OSError as error:
        raise ConfigError(f"--tls-cert-file or --tls-key-file cannot be used: {error}") from error
    return context


def _announce(
    control_plane: "SimulatedControlPlane[GeneratedWorld] | SimulatedControlPlane[Recording]", what: str
) -> None:
    _say(f"listening at {control_plane.url}: {what}")
    if control_plane.api:
        _say(f"API server at {control_plane.api.url}")


def _advance(control_plane: "SimulatedControlPlane[Recording]") -> None:
    recording = control_plane.world
    upcoming = recording.upcoming
    if upcoming is None:
        return
    if upcoming.restarted:
        control_plane.close()
    recording.advance()
    if upcoming.restarted:
        control_plane.start()
    last = "" if recording.upcoming else ", the last"
    _say(f"step {upcoming.name}{', after a restart' if upcoming.restarted else ''}{last}")


class _Clients:
    """Prints when clients connect and disconnect."""

    def __init__(
        self, control_plane: "SimulatedControlPlane[Recording] | SimulatedControlPlane[GeneratedWorld]"
    ) -> None:
        self._control_plane = control_plane
        self._connected = 0

    def look(self) -> None:
        counts = self._control_plane.counts
        connected = counts.open + counts.connections
        if connected != self._connected:
            self._connected = connected
            _say(f"connected clients: {connected}")


def _say(line: str) -> None:
    # Flush, for readers of a pipe.
    print(line, flush=True)


def _refuse(arguments: argparse.Namespace, names: tuple[str, ...], message: str) -> None:
    for name in names:
        if getattr(arguments, name) is not None:
            raise ConfigError(message.format(name))


def _parse_address(text: str) -> str:
    host, colon, port = text.rpartition(":")
    if not colon or not host or not port.isdecimal() or int(port) > 65535:  # noqa: PLR2004 (the last port)
        raise ValueError("is not an address like 127.0.0.1:5676 or [::1]:5676")
    return text


def _parse_count(text: str) -> int:
    count: int = NUMBER.parse(text)
    if count < 0:
        raise ValueError("is less than none")
    return count


def _parse_rate(text: str) -> float:
    try:
        rate = float(text)
    except ValueError:
        rate = math.nan
    if not 0 <= rate < math.inf:
        raise ValueError("is not a number of changes a second like 1, 0.1 or 0")
    return rate


def _parse_interval(text: str) -> float:
    seconds: float = DURATION.parse(text)
    if not seconds:
        raise ValueError("is too short")
    return seconds


ADDRESS = OptionType("address", _parse_address)
COUNT = OptionType("number", _parse_count)
RATE = OptionType("rate", _parse_rate)
INTERVAL = OptionType("duration", _parse_interval)
