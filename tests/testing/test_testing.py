"""The kit for plugin authors: what its builders build, and how it is used."""

import subprocess
import sys
from pathlib import Path

import grpc

from kuma_sd import Key
from kuma_sd.simulator import Dataplane
from kuma_sd.testing import CODEC, assignment, control_plane, group, labels_of, publication, snapshot, target


def test_an_assignment_reads_as_the_target_with_the_same_facts() -> None:
    built = assignment("web-01", control_plane="east", mesh="payments", service="web", labels={"env": "schön"}, index=2)
    assert built.key == Key("east", "payments", "web-01", 2)
    assert built.read() == target(
        "web-01", control_plane="east", mesh="payments", service="web", labels={"env": "schön"}
    )
    assert built.codec is CODEC


def test_equal_facts_make_equal_bytes() -> None:
    one, other = {"a": "1", "b": "2"}, {"b": "2", "a": "1"}
    assert assignment(labels=one) == assignment(labels=other)
    assert assignment(labels=one).data != assignment(labels=one, address="192.0.2.2:1").data


def test_targets_share_nothing() -> None:
    target().labels["env"] = "test"
    assert target().labels["env"] == "prod"


def test_a_snapshot_is_sorted_and_of_one_control_plane() -> None:
    built = snapshot("b", assignment("a", mesh="payments", control_plane="east"), "a", control_plane="east")
    keys = [entry.key for entry in built.assignments]
    assert keys == sorted(keys)
    assert {key.control_plane for key in keys} == {"east"}
    assert (built.control_plane, built.complete) == ("east", True)


def test_a_publication_is_sorted() -> None:
    built = publication("b", group("a", mesh="payments"), "a", received=7.0)
    assert [target_group.key.assignment.name for target_group in built.groups] == ["a", "b", "a"]
    assert built.received == 7.0


def test_a_group_has_the_labels_of_the_default_profile() -> None:
    built = group("web-01", service="web", labels={"env": "prod"})
    assert built.targets == ["192.0.2.1:5670"]
    assert built.labels == {
        "__metrics_path__": "/metrics",
        "__scheme__": "http",
        "dataplane": "web-01",
        "env": "prod",
        "instance": "web-01",
        "job": "web",
        "mesh": "default",
        "service": "web",
    }


def test_labels_are_made_anew_for_each_call() -> None:
    assert labels_of(target()) is not labels_of(target())


def test_a_control_plane_runs_while_the_block_does() -> None:
    with control_plane("backend-01", Dataplane("web-01", service="web")) as running:
        assert [dataplane.name for dataplane in running.world.dataplanes] == ["backend-01", "web-01"]
        assert running.url == f"grpc://{running.address}"
        with grpc.insecure_channel(running.address) as channel:
            grpc.channel_ready_future(channel).result(timeout=10)


A_PLUGINS_TESTS = """
from kuma_sd import TransformPlugin
from kuma_sd.testing import TransformContract

class TestNothing(TransformContract):
    plugin = TransformPlugin(lambda options, context: lambda labels, target: [labels])

def test_the_fixture(kuma_control_plane):
    assert kuma_control_plane.world.dataplanes == []
    assert kuma_control_plane.url.startswith("grpc://127.0.0.1:")
"""


def test_a_plugin_can_use_it_as_its_documentation_says(tmp_path: Path) -> None:
    (tmp_path / "conftest.py").write_text('pytest_plugins = ["kuma_sd.testing"]')
    (tmp_path / "test_plugin.py").write_text(A_PLUGINS_TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", "."]
    done = subprocess.run(command, cwd=tmp_path, check=False, capture_output=True, text=True)
    assert "7 passed" in done.stdout, done.stdout


def test_importing_it_needs_no_pytest_and_loads_no_grpc() -> None:
    program = "import sys; sys.modules['pytest'] = None; import kuma_sd.testing; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    assert "kuma_sd.testing" in loaded
    assert not {"grpc", "google.protobuf", "kuma_sd.simulator"} & set(loaded)
