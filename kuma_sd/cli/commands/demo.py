"""Show the whole job without a Kuma of your own, until stopped by SIGTERM or Ctrl-C.

Examples:
  kuma-sd demo
  kuma-sd demo --directory /tmp/demo --targets 1000 --churn 0.5
  kuma-sd demo --kuma-version 3.0 --environment kubernetes

Starts a simulated control plane on a free port, and `kuma-sd run`, which follows it and writes the targets as JSON and
as YAML. Prints each change of the published file, and when the guard holds targets and why. Also writes the settings,
and a prometheus.yml that reads both files. The targets do not exist, so this prometheus.yml drops them before a scrape.
"""

import argparse
import contextlib
import json
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from kuma_sd.cli.commands.simulate import (
    STOPPING_SIGNALS,
    add_environment_argument,
    add_world_arguments,
    interval_of,
    until_stopped,
)
from kuma_sd.cli.main import argument_type
from kuma_sd.cli.render.target_changes import Targets, changes, read_targets
from kuma_sd.core.errors import ConfigError, KumaSDError
from kuma_sd.core.option_types import PATH
from kuma_sd.core.text import counted

if TYPE_CHECKING:
    from kuma_sd.settings.model import Settings

TAKES_SETTINGS = False

SETTINGS = """\
# Written by `kuma-sd demo`.
[kuma-sd]
cp-address = {url}{options}
output = json=file_sd yaml=file_sd
state-dir = {directory}/state
control-socket = {directory}/control.sock
# Short, so that you can watch the guard. The default is 2m.
guard-hold = 5s

[json]
path = {directory}/targets.json

[yaml]
path = {directory}/targets.yml

[web]
listen-address = 127.0.0.1:{port}
"""

FOR_THE_API = """
# Short, so that changes show soon. The default is 30s.
api-interval = 2s"""

PROMETHEUS_YML = """\
# Written by `kuma-sd demo`: what `kuma-sd prometheus-config` prints, and one more rule for each job. It drops every
# target before it is scraped, because these do not exist. Leave it out where they do.
"""

INTRODUCTION = """\
Simulated control plane: {url}, {targets} dataplanes, changes a second: {churn:g}
kuma-sd follows it:      {program} run -c {file}

Status page:  http://127.0.0.1:{port}/
Look around:  {program} status -c {file}
              {program} explain redis -c {file}
Prometheus:   prometheus --config.file={directory}/prometheus.yml --storage.tsdb.path={directory}/prometheus

  {directory}/kuma-sd.conf    the settings
  {directory}/targets.json    what Prometheus reads
  {directory}/targets.yml     the same as YAML
  {directory}/prometheus.yml  a Prometheus configuration that reads both
  {directory}/kuma-sd.log     the log of kuma-sd

Changes of targets.json, until Ctrl-C:
"""

PORT = 9119
"""Default port of the status page."""

STOP_TIMEOUT = 5.0
"""Timeout for stopping kuma-sd, in seconds; it needs less than one."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags."""
    parser.add_argument(
        "--directory",
        metavar="PATH",
        type=argument_type(PATH),
        default=Path("demo"),
        help="where files are written; made if missing (default: ./demo)",
    )
    add_world_arguments(parser, targets=20)
    parser.add_argument(
        "--kuma-version",
        metavar="VERSION",
        help="be a control plane of this version of Kuma (default: one that speaks every version of MADS)",
    )
    add_environment_argument(parser)


def execute(arguments: argparse.Namespace, settings: "Settings | None") -> int:  # noqa: ARG001 (the contract of commands)
    """Run the control plane and kuma-sd, and print changes."""
    # Late, so that help loads no gRPC.
    from kuma_sd.simulator import EVERYTHING, ApiServer, GeneratedWorld, SimulatedControlPlane, kuma  # noqa: PLC0415

    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING_SIGNALS)
    directory: Path = arguments.directory
    targets = 20 if arguments.targets is None else arguments.targets
    churn = 1.0 if arguments.churn is None else arguments.churn
    world = GeneratedWorld(targets)
    version = EVERYTHING if arguments.kuma_version is None else kuma(arguments.kuma_version)
    api = ApiServer(kubernetes=arguments.environment == "kubernetes")
    with _claimed(directory), SimulatedControlPlane(world, line=version, api=api) as control_plane:
        port = _free_port()
        file = _prepare(directory, control_plane.url, port)
        facts = {"url": control_plane.url, "targets": targets, "churn": churn, "port": port}
        with _daemon(file, directory) as daemon:
            shown = {"directory": shlex.quote(str(directory)), "file": shlex.quote(str(file)), "program": _program()}
            print(INTRODUCTION.format(**facts, **shown), flush=True)
            watcher = _Watcher(directory / "targets.json", daemon)
            guard = _Guard(directory / "control.sock")

            def look() -> None:
                watcher.look()
                guard.look()

            until_stopped(interval_of(churn), world.change, look)
    print(f"\nStopped. The files stay in {directory}/", flush=True)
    return 0


def _program() -> str:
    """Return the command that starts this program from the user's shell."""
    started = Path(sys.argv[0])
    if shutil.which("kuma-sd") or started.name != "kuma-sd":
        return "kuma-sd"
    return shlex.quote(os.path.relpath(started) if started.is_relative_to(Path.cwd()) else str(started))


def _free_port() -> int:
    """Return the documented port, or any free port if it is in use."""
    for port in (PORT, 0):
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)) as server:
            free: int = server.getsockname()[1]
            return free
    raise KumaSDError("there is no free port on 127.0.0.1")


@contextlib.contextmanager
def _claimed(directory: Path) -> Iterator[None]:
    """Make the directory, and keep other demos from writing there.

    Raises:
        ConfigError: it cannot be made or written, others could replace what is in it, or another demo runs in it.
    """
    # Late, so that help needs none of it.
    from kuma_sd.system.directories import open_directory  # noqa: PLC0415
    from kuma_sd.system.file_lock import FileLock, LockedError  # noqa: PLC0415
    from kuma_sd.system.trust_rules import UntrustedError, check_made_by_us, check_writers  # noqa: PLC0415

    lock = FileLock()
    try:
        with open_directory(directory, 0o755) as opened:
            # Its settings decide what the daemon writes and where, and a link in it would be followed.
            check_made_by_us(directory, opened.status(), opened.descriptor)
            check_writers(directory, opened.descriptor)
            lock.acquire(opened, "demo.lock")
    except LockedError as error:
        raise ConfigError(
            f"another demo runs in the directory '{directory}'; stop it, or give this one another: --directory PATH"
        ) from error
    except UntrustedError as error:
        raise ConfigError(f"{error.strerror}; or give the demo another directory: --directory PATH") from error
    except OSError as error:
        raise _unwritable(directory, error) from error
    try:
        yield
    finally:
        lock.release()


def _unwritable(directory: Path, error: OSError) -> ConfigError:
    return ConfigError(f"cannot write into the directory '{directory}': {error.strerror}")


def _prepare(directory: Path, url: str, port: int) -> Path:
    """Write the demo's files, and return the settings file."""
    file = directory / "kuma-sd.conf"
    try:
        options = FOR_THE_API if url.startswith("kuma-api+") else ""
        file.write_text(SETTINGS.format(url=url, options=options, directory=directory, port=port))
        (directory / "prometheus.yml").write_text(f"{PROMETHEUS_YML}{_prometheus_yml(file)}\n")
        # Remove the targets of the last demo: they would be reported as changes, and held.
        for leftover in (directory / "targets.json", directory / "targets.yml", *(directory / "state").glob("*")):
            if leftover.is_file():
                leftover.unlink()
    except OSError as error:
        raise _unwritable(directory, error) from error
    return file


def _prometheus_yml(file: Path) -> str:
    # Late, so that help needs none of it.
    from kuma_sd.plugin.manager import Plugins  # noqa: PLC0415
    from kuma_sd.prometheus.scrape_config import DROP_EVERYTHING, scrape_config  # noqa: PLC0415
    from kuma_sd.runtime.builder import build  # noqa: PLC0415
    from kuma_sd.runtime.scrape_jobs import scrape_jobs  # noqa: PLC0415
    from kuma_sd.settings.loader import load  # noqa: PLC0415

    settings = load(["-c", str(file)], {}, Plugins())
    components = build(settings)
    jobs = list(scrape_jobs(settings, components))
    components.close()
    dropping = [replace(job, settings={**job.settings, "relabel_configs": [dict(DROP_EVERYTHING)]}) for job in jobs]
    return "\n".join(scrape_config(dropping))


@contextlib.contextmanager
def _daemon(file: Path, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Start `kuma-sd run` as a child process, which inherits the blocked signals and waits for them."""
    command = [sys.executable, "-m", "kuma_sd", "run", "-c", str(file)]
    # Ignore the variables of the user's own kuma-sd.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KUMA_")}
    with (directory / "kuma-sd.log").open("wb") as log:
        daemon = subprocess.Popen(command, env=environment | {"no_proxy": "127.0.0.1"}, stderr=log)  # noqa: S603 (this program)
    try:
        yield daemon
    finally:
        daemon.terminate()
        try:
            daemon.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()


class _Guard:
    """Prints when the guard starts and stops holding targets, and why.

    Args:
        control_socket: the daemon's control socket.
    """

    def __init__(self, control_socket: Path) -> None:
        self._control_socket = control_socket
        self._held = 0
        self._due = 0.0

    def look(self) -> None:
        """Query the daemon, at most once a second."""
        if time.monotonic() < self._due:
            return
        self._due = time.monotonic() + 1
        from kuma_sd.web.client import ask  # noqa: PLC0415 (late, so that help needs none of it)

        with contextlib.suppress(KumaSDError, ValueError, LookupError):
            _, text = ask(self._control_socket, "GET", "/api/status")
            self._tell(json.loads(text)["control_planes"][0]["guard"])

    def _tell(self, guard: dict[str, Any]) -> None:
        held: int = guard["targets"]
        if held > self._held:
            returns = "it returns" if held == 1 else "they return"
            _say(f"guard    holds {counted(held, 'target')}, for 5 s unless {returns}: {guard['why']}")
        elif self._held and not held:
            _say("guard    holds nothing any more")
        self._held = held


class _Watcher:
    """Prints the changes of a published file while its writer runs."""

    def __init__(self, path: Path, daemon: subprocess.Popen[bytes]) -> None:
        self._path = path
        self._daemon = daemon
        self._seen = (0, 0)
        self._targets: Targets | None = None

    def look(self) -> None:
        # Ctrl-C in a terminal stops both processes.
        if self._daemon.poll() is not None and not STOPPING_SIGNALS & signal.sigpending():
            log = self._path.parent / "kuma-sd.log"
            last = log.read_text(errors="replace").strip().rpartition("\n")[2]
            raise KumaSDError(f"kuma-sd ended; the last line in '{log}' is: {last or '(empty)'}")
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return
        # Each version is a new file; the inode number of a deleted one may be reused.
        seen = (stat.st_ino, stat.st_mtime_ns)
        if seen == self._seen:
            return
        self._seen = seen
        targets = read_targets(self._path)
        if self._targets is None:
            _say(f"{len(targets)} targets")
        else:
            for line in changes(self._targets, targets):
                _say(f"{line}  ({len(targets)} targets)")
        self._targets = targets


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {line}", flush=True)
