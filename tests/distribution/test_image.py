"""The container image: it runs by number, on files that it cannot write, and tells whether it is healthy."""

import json
import shlex
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from debian_machine import needs_machine, started
from processes import eventually

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


@pytest.fixture
def image() -> Iterator[Image]:
    subprocess.run([ROOT / "script/image", NAME], check=True, capture_output=True)
    container = buildah("from", "--pull-never", NAME)
    try:
        yield Image(json.loads(buildah("inspect", container))["Docker"]["config"], Path(buildah("mount", container)))
    finally:
        buildah("rm", container)
        buildah("rmi", NAME)


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
