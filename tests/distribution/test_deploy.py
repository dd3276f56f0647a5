"""The examples to deploy: what they set exists, and those who read them understand them."""

import configparser
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus import needs_prometheus, promtool_accepts

from kuma_sd.cli.commands import completion
from kuma_sd.cli.main import COMMANDS
from kuma_sd.plugin.manager import Plugins
from kuma_sd.settings.loader import load
from kuma_sd.settings.model import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCUMENTS = [
    loaded_plugin for path in sorted(DEPLOY.rglob("*.yml")) for loaded_plugin in yaml.safe_load_all(path.read_text())
]
DROP_INS = sorted((DEPLOY / "systemd").glob("*.conf"))


def mappings(node: Any) -> Iterator[dict[str, Any]]:
    """Yield every mapping in a document."""
    if isinstance(node, dict):
        yield node
    for child in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        yield from mappings(child)


def everywhere() -> list[dict[str, Any]]:
    """Return all mappings in all documents."""
    return [mapping for document in DOCUMENTS for mapping in mappings(document)]


def ours() -> list[dict[str, Any]]:
    """Return all containers that run kuma-sd."""
    return [container for container in everywhere() if container.get("image") == "kuma-sd" or "build" in container]


def variables(container: dict[str, Any]) -> dict[str, str]:
    listed = {variable["name"]: variable["value"] for variable in container.get("env", [])}
    variables: dict[str, str] = listed | container.get("environment", {})
    return variables


def accepted(environment: Mapping[str, str], *arguments: str) -> Settings:
    """Load settings in which everything is known and used."""
    settings = load(arguments, environment, Plugins())
    assert settings.warnings == ()
    return settings


@pytest.mark.parametrize("container", ours(), ids=lambda one: str(one.get("name", "compose")))
def test_every_variable_is_a_setting(container: dict[str, Any]) -> None:
    accepted(variables(container))


@pytest.mark.parametrize("container", ours(), ids=lambda one: str(one.get("name", "compose")))
def test_every_command_and_flag_exists(container: dict[str, Any]) -> None:
    commands = [["kuma-sd", *container.get("args", container.get("command", ["run"]))]]
    commands += [
        mapping["command"] for mapping in mappings(container) if mapping.get("command") and mapping is not container
    ]
    for program, command, *words in commands:
        assert program == "kuma-sd"
        assert command in COMMANDS
        assert completion._parser_of(command, settings_everywhere=True).parse_known_args(words)[1] == []


def test_settings_files_are_right(tmp_path: Path) -> None:
    files = [container["kuma-sd.conf"] for container in everywhere() if "kuma-sd.conf" in container]
    assert files
    for text in files:
        (tmp_path / "kuma-sd.conf").write_text(text)
        accepted({}, "-c", str(tmp_path / "kuma-sd.conf"))


@needs_prometheus
def test_prometheus_understands_its_own(tmp_path: Path) -> None:
    texts = [container["prometheus.yml"] for container in everywhere() if "prometheus.yml" in container]
    for number, text in enumerate([*texts, (DEPLOY / "compose/prometheus.yml").read_text()]):
        config = tmp_path / f"{number}.yml"
        config.write_text(text)
        promtool_accepts(config)
        assert "kuma.file_sd.json" in text


def test_containers_may_write_where_the_image_says_and_nowhere_else() -> None:
    (volumes,) = re.findall(r"^VOLUME (\[.*\])$", (ROOT / "Dockerfile").read_text(), flags=re.MULTILINE)
    for container in ours():
        mounted = [mount["mountPath"] for mount in container.get("volumeMounts", ()) if not mount.get("readOnly")]
        assert set(mounted) <= set(yaml.safe_load(volumes))
        if "securityContext" in container:
            assert container["securityContext"]["readOnlyRootFilesystem"]


@pytest.mark.parametrize("drop_in", DROP_INS, ids=lambda path: path.stem)
def test_variables_in_drop_ins_are_settings(drop_in: Path) -> None:
    lines = [line.partition("=")[2] for line in drop_in.read_text().splitlines() if line.startswith("Environment=")]
    accepted(dict(line.split("=", 1) for line in lines))


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="needs Debian's package systemd")
def test_systemd_understands_the_drop_ins(tmp_path: Path) -> None:
    unit = (ROOT / "etc/kuma-sd.service").read_text().replace("ExecStart=kuma-sd", f"ExecStart={sys.executable}")
    (tmp_path / "kuma-sd.service").write_text(unit)
    shutil.copytree(DEPLOY / "systemd", tmp_path / "kuma-sd.service.d")
    command = ["systemd-analyze", "verify", "--man=no", "--recursive-errors=no", "kuma-sd.service"]
    paths = os.environ | {"SYSTEMD_UNIT_PATH": f"{tmp_path}:"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=paths)
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)


def test_pip_puts_plugins_where_an_upgrade_leaves_them() -> None:
    pip = configparser.ConfigParser()
    pip.read(ROOT / "debian/pip.conf")
    assert pip["install"]["prefix"] in (ROOT / "debian/relocate").read_text()


def pods() -> list[tuple[str, dict[str, Any]]]:
    """Return the specification of every pod, with the name of what makes it."""
    return [
        (document["metadata"]["name"], document["spec"]["template"]["spec"])
        for document in DOCUMENTS
        if document.get("kind") in ("Deployment", "StatefulSet")
    ]


@pytest.mark.parametrize(("name", "pod"), pods(), ids=[name for name, _ in pods()])
def test_pods_keep_to_the_restricted_pod_security_standard(name: str, pod: dict[str, Any]) -> None:
    """Https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted, for all containers of a pod."""
    shared = pod["securityContext"]
    assert shared["runAsNonRoot"] is True, name
    assert shared["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not pod.keys() & {"hostNetwork", "hostPID", "hostIPC"}
    for container in pod["containers"]:
        own = container["securityContext"]
        assert own["allowPrivilegeEscalation"] is False, container["name"]
        assert own["capabilities"] == {"drop": ["ALL"]}
        assert own["readOnlyRootFilesystem"] is True
        assert own.get("runAsUser", shared.get("runAsUser")), "it runs as a user that is not root"
    assert all(
        volume.keys() - {"name"} <= {"configMap", "emptyDir", "persistentVolumeClaim"} for volume in pod["volumes"]
    )


def test_a_policy_says_who_may_talk_to_a_daemon_that_serves() -> None:
    (policy,) = [document for document in DOCUMENTS if document.get("kind") == "NetworkPolicy"]
    assert policy["spec"]["podSelector"]["matchLabels"] == {"app": "kuma-sd"}
    assert policy["spec"]["policyTypes"] == ["Ingress", "Egress"]
