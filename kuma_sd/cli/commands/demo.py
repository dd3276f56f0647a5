"""Show the whole job, without owning a Kuma, until stopped by SIGTERM or Ctrl-C.

A simulated control plane runs on a free port of this machine, `kuma-sd run` follows it and writes the same targets as
JSON and as YAML, and each change of the published file is told here. Beside the files there is a prometheus.yml that
reads them. The targets do not exist, and nothing contacts them.

Examples:
  kuma-sd demo
  kuma-sd demo --directory /tmp/demo --targets 1000 --churn 0.5
  kuma-sd demo --kuma-version 3.0 --environment kubernetes
"""

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kuma_sd.cli.commands.simulate import (
    STOPPING_SIGNALS,
    add_environment_argument,
    add_world_arguments,
    interval_of,
    until_stopped,
)
from kuma_sd.cli.main import argument_type
from kuma_sd.core.errors import ConfigError, KumaSDError
from kuma_sd.core.options import PATH

if TYPE_CHECKING:
    from kuma_sd.settings.loader import Settings

TAKES_SETTINGS = False

PROMETHEUS_YML = """\
# Written by `kuma-sd demo`. While it runs:
#   prometheus --config.file={directory}/prometheus.yml --storage.tsdb.path={directory}/prometheus
# and see http://localhost:9090/service-discovery
scrape_configs:
  - job_name: kuma-json
    file_sd_configs:
      - files: [targets.json]
    relabel_configs:
      # Drops every target before it is scraped, for these do not exist. Leave it away where they do.
      - action: drop

  - job_name: kuma-yaml
    file_sd_configs:
      - files: [targets.yml]
    relabel_configs:
      - action: drop
"""

INTRODUCTION = """\
A simulated control plane listens at {url}: {targets} dataplanes, changes a second: {churn:g}
kuma-sd follows it, as you would start it:

  kuma-sd run --cp-address={url} \\
    --output json=file_sd --json-path {directory}/targets.json \\
    --output yaml=file_sd --yaml-path {directory}/targets.yml

  {directory}/targets.json    what Prometheus reads
  {directory}/targets.yml     the same as YAML
  {directory}/prometheus.yml  a Prometheus that reads both; it says how to start it
  {directory}/kuma-sd.log     what kuma-sd logs

Changes of targets.json, until Ctrl-C:
"""

STOP_TIMEOUT = 5.0
"""How long kuma-sd may take to end, in seconds; it needs less than one."""

Targets = dict[tuple[str, str], dict[str, str]]
"""Labels, the address included, by mesh and dataplane."""


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
        help="be what this version of Kuma was (default: speak every version of MADS)",
    )
    add_environment_argument(parser)


def execute(arguments: argparse.Namespace, settings: "Settings | None") -> int:  # noqa: ARG001 (the contract of commands)
    """Run the control plane and kuma-sd, and tell what changes."""
    # Late, so that help loads no gRPC.
    from kuma_sd.simulator import EVERYTHING, ApiServer, GeneratedWorld, SimulatedControlPlane, kuma  # noqa: PLC0415

    signal.pthread_sigmask(signal.SIG_BLOCK, STOPPING_SIGNALS)
    directory: Path = arguments.directory
    targets = 20 if arguments.targets is None else arguments.targets
    churn = 1.0 if arguments.churn is None else arguments.churn
    _prepare(directory)
    world = GeneratedWorld(targets)
    line = kuma(arguments.kuma_version) if arguments.kuma_version else EVERYTHING
    api = ApiServer(kubernetes=arguments.environment == "kubernetes")
    with (
        SimulatedControlPlane(world, line=line, api=api) as control_plane,
        _daemon(control_plane.url, directory) as daemon,
    ):
        print(INTRODUCTION.format(url=control_plane.url, targets=targets, churn=churn, directory=directory), flush=True)
        watcher = _Watcher(directory / "targets.json", daemon)
        until_stopped(interval_of(churn), world.change, watcher.look)
    print(f"\nStopped. The files stay in {directory}/", flush=True)
    return 0


def _prepare(directory: Path) -> None:
    try:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "prometheus.yml").write_text(PROMETHEUS_YML.format(directory=directory))
        # Those of the last demo would be told as if they were news.
        (directory / "targets.json").unlink(missing_ok=True)
    except OSError as error:
        raise ConfigError(f"cannot write into the directory '{directory}': {error.strerror}") from error


@contextlib.contextmanager
def _daemon(url: str, directory: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run `kuma-sd run` in a process of its own. It inherits that signals are blocked, and waits for them as we do."""
    command = [
        sys.executable,
        "-m",
        "kuma_sd",
        "run",
        f"--cp-address={url}",
        "--state-dir",
        str(directory / "state"),
        "--guard-hold=5s",
        # The port may be that of a real one.
        "--web-listen-address=",
    ]
    command += ["--output=json=file_sd", f"--json-path={directory / 'targets.json'}"]
    command += ["--output=yaml=file_sd", f"--yaml-path={directory / 'targets.yml'}"]
    if url.startswith("kuma-api+"):
        command.append("--api-interval=2s")
    # Settings of the user's own kuma-sd have no place in a demo.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("KUMA_")}
    with (directory / "kuma-sd.log").open("wb") as log:
        daemon = subprocess.Popen(command, env=environment | {"no_proxy": "127.0.0.1"}, stderr=log)  # noqa: S603 (it is us)
    try:
        yield daemon
    finally:
        daemon.terminate()
        try:
            daemon.wait(STOP_TIMEOUT)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()


class _Watcher:
    """Tells what changes in a published file, while the process that writes it runs."""

    def __init__(self, path: Path, daemon: subprocess.Popen[bytes]) -> None:
        self._path = path
        self._daemon = daemon
        self._seen = (0, 0)
        self._targets: Targets | None = None

    def look(self) -> None:
        # Ctrl-C in a terminal ends both.
        if self._daemon.poll() is not None and not STOPPING_SIGNALS & signal.sigpending():
            log = self._path.parent / "kuma-sd.log"
            last = log.read_text(errors="replace").strip().rpartition("\n")[2]
            raise KumaSDError(f"kuma-sd ended; the last line in '{log}' is: {last or '(empty)'}")
        try:
            stat = self._path.stat()
        except FileNotFoundError:
            return
        # Each version is a file of its own; the number of a deleted one may come again.
        seen = (stat.st_ino, stat.st_mtime_ns)
        if seen == self._seen:
            return
        self._seen, targets = seen, _read(self._path)
        if self._targets is None:
            _say(f"{len(targets)} targets")
        else:
            for line in changes(self._targets, targets):
                _say(f"{line}  ({len(targets)} targets)")
        self._targets = targets


def changes(before: Targets, now: Targets) -> Iterator[str]:
    """Yield a line for each target that was added, removed or changed."""
    for mesh, name in sorted(now.keys() - before.keys()):
        yield f"added    {mesh}/{name} at {now[mesh, name]['__address__']}"
    for mesh, name in sorted(before.keys() - now.keys()):
        yield f"removed  {mesh}/{name}"
    for mesh, name in sorted(now.keys() & before.keys()):
        old, new = before[mesh, name], now[mesh, name]
        differing = sorted(label for label in old.keys() | new.keys() if old.get(label) != new.get(label))
        # Kuma makes two labels of a tag, of which the plural says the same.
        told = [label for label in differing if label.removesuffix("s") not in differing or not label.endswith("s")]
        if told:
            yield f"changed  {mesh}/{name}: " + ", ".join(
                f"{label.strip('_')} {old.get(label, 'none')} -> {new.get(label, 'none')}" for label in told
            )


def _read(path: Path) -> Targets:
    targets: Targets = {}
    groups: list[dict[str, Any]] = json.loads(path.read_bytes())
    for group in groups:
        labels = group["labels"]
        targets[labels["mesh"], labels["dataplane"]] = labels | {"__address__": group["targets"][0]}
    return targets


def _say(line: str) -> None:
    print(f"{time.strftime('%H:%M:%S')}  {line}", flush=True)
