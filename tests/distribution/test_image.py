"""The container image: it runs by number, on files that it cannot write, and tells whether it is healthy."""

import json
import os
import select
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from debian_machine import needs_machine, started
from waiting import eventually

ROOT = Path(__file__).parents[2]
NAME = "localhost/kuma-sd:test"

pytestmark = [
    pytest.mark.walk,
    pytest.mark.timeout(600),
    needs_machine,
    pytest.mark.skipif(not shutil.which("buildah"), reason="needs Debian's package buildah"),
]


class Image(NamedTuple):
    config: dict[str, Any]
    root: Path


def buildah(*words: str) -> str:
    return subprocess.run(["buildah", *words], check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def name() -> Iterator[str]:
    """Build the image; returns its name."""
    subprocess.run([ROOT / "script/image", NAME], check=True, capture_output=True)
    yield NAME
    buildah("rmi", "--force", NAME)


@pytest.fixture
def image(name: str) -> Iterator[Image]:
    container = buildah("from", "--pull-never", name)
    try:
        yield Image(json.loads(buildah("inspect", container))["Docker"]["config"], Path(buildah("mount", container)))
    finally:
        buildah("rm", container)


def test_it_runs_without_a_name_and_without_writing_to_its_files(image: Image) -> None:
    config = image.config
    user, _, group = config["User"].partition(":")
    assert int(user) > 0
    variables = " ".join(shlex.quote(variable) for variable in config["Env"])
    run = f"setpriv --reuid={user} --regid={group} --clear-groups --no-new-privs env --ignore-environment {variables}"
    health = f"{run} {shlex.join(config['Healthcheck']['Test'][1:])} >/run/kuma-sd/health 2>&1 && echo healthy"

    with started(image.root) as container:
        container.make_read_only(config["Volumes"], int(user))
        assert "healthy" not in container.run(health, check=False)
        container.run(f"setsid {run} kuma-sd simulate >/run/kuma-sd/simulate 2>&1 &")
        command = shlex.join([*config["Entrypoint"], *config["Cmd"]])
        container.run(f"setsid {run} {command} >/run/kuma-sd/log 2>&1 &")
        eventually(lambda: "healthy" in container.run(health, check=False), "it is healthy")
        eventually(lambda: "healthy" in container.run(health.replace("status", "status --ready"), check=False), "ready")
        assert "dataplane" in container.run("cat /run/kuma-prometheus-sd/kuma.file_sd.json")
        assert "Read-only file system" in container.run("touch /opt/kuma-sd/written", check=False)


# Limits that any runtime may set; health is asked for by us, for podman's own timer needs systemd.
PODMAN = (
    "--network=none",
    "--read-only",
    "--read-only-tmpfs=false",
    "--ulimit=nofile=1024:1024",
    "--ulimit=nproc=512:512",
)


def podman(*words: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    runtime = ["--runtime=runc", "--cgroup-manager=cgroupfs"] if shutil.which("runc") else []
    return subprocess.run(["podman", *runtime, *words], check=check, capture_output=True, text=True)


@pytest.fixture
def container(name: str) -> Iterator[str]:
    """Run the image as it is; yields the container's name."""
    if not shutil.which("podman"):
        pytest.skip("needs Debian's package podman")
    tried = podman("run", "--rm", *PODMAN, "--no-healthcheck", name, "version", check=False)
    if tried.returncode:
        pytest.skip(f"podman cannot run containers here: {tried.stderr.strip()}")
    container = podman("run", "--detach", "--health-interval=disable", *PODMAN, name).stdout.strip()
    try:
        yield container
    finally:
        podman("rm", "--force", "--volumes", container, check=False)


def test_a_container_runs_it_read_only_and_ends_it_at_once(container: str) -> None:
    def does(*words: str) -> bool:
        return podman("exec", container, *words, check=False).returncode == 0

    health = json.loads(podman("inspect", "--format={{json .Config.Healthcheck.Test}}", container).stdout)[1:]
    podman("exec", "--detach", container, "kuma-sd", "simulate")
    eventually(lambda: does(*health), "it is healthy")
    eventually(lambda: does("kuma-sd", "status", "--ready"), "it has published")
    assert does("grep", "-q", "dataplane", "/run/kuma-prometheus-sd/kuma.file_sd.json")
    assert int(podman("exec", container, "id", "-u").stdout) > 0
    assert not does("touch", "/opt/kuma-sd/written")
    assert not does("touch", "/run/written")

    main = int(podman("inspect", "--format={{.State.Pid}}", container).stdout)
    ended = os.pidfd_open(main)
    os.kill(main, signal.SIGTERM)
    # It takes less than one; the other is for what else the machine does.
    assert select.select([ended], [], [], 2)[0], "it ends within a second"
    assert podman("wait", container).stdout.strip() == "0"
