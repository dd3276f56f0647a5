import pytest
from hypothesis import given
from hypothesis import strategies as st
from resources import packed

from kuma_sd import Key, SourceError, Target
from kuma_sd.mads.codecs.v1alpha1 import TYPE_URL, V1ALPHA1_PROTOBUF
from kuma_sd.prometheus.label_profiles import LabelProfile
from kuma_sd.proto.mads_v1alpha1_pb2 import MonitoringAssignment

COMMON = {
    "__scheme__": "http",
    "__metrics_path__": "/metrics",
    "job": "backend",
    "instance": "backend-01",
    "mesh": "demo",
    "dataplane": "backend-01",
    "env": "prod",
}


def resource(name: str = "/meshes/demo/dataplanes/backend-01", *targets: dict[str, str], **labels: str) -> bytes:
    message = MonitoringAssignment(name=name, labels=labels)
    for target in targets or ({"__address__": "192.168.0.1:8080"},):
        message.targets.add(labels=target)
    return packed(message, TYPE_URL)


def read(data: bytes) -> list[Target]:
    return [V1ALPHA1_PROTOBUF.read(Key("", mesh, name, 0), part) for mesh, name, part in V1ALPHA1_PROTOBUF.split(data)]


def test_what_are_labels_here_become_the_facts_of_v1() -> None:
    (target,) = read(resource(**COMMON))
    assert target == Target(
        "", "demo", "backend", "backend-01", "192.168.0.1:8080", "http", "/metrics", labels={"env": "prod"}
    )


def test_labels_come_out_by_the_rules_of_v1_with_service_added() -> None:
    (target,) = read(resource(**COMMON))
    assert LabelProfile("kuma-prometheus-sd")(target) == COMMON | {
        "__address__": "192.168.0.1:8080",
        "service": "backend",
    }


def test_labels_of_the_target_win_over_those_of_the_assignment() -> None:
    (target,) = read(resource("/meshes/demo/dataplanes/a", {"__address__": "a:1", "env": "target"}, **COMMON))
    assert target.labels == {"env": "target"}


def test_several_targets_are_told_apart_by_their_labels() -> None:
    one = {"__address__": "192.168.0.1:8080", "dataplane": "backend-01", "instance": "backend-01"}
    two = {"__address__": "192.168.0.2:8081", "dataplane": "backend-02", "instance": "backend-02"}
    data = resource("/meshes/default/services/backend", one, two, job="backend", mesh="default")
    assert [(target.mesh, target.name, target.address) for target in read(data)] == [
        ("default", "backend-01", "192.168.0.1:8080"),
        ("default", "backend-02", "192.168.0.2:8081"),
    ]


def test_without_labels_the_resource_name_tells_mesh_and_name() -> None:
    (target,) = read(resource())
    assert (target.mesh, target.name) == ("demo", "backend-01")


@given(st.binary(max_size=200))
def test_whatever_the_bytes_nothing_but_a_source_error_comes_out(data: bytes) -> None:
    try:
        read(data)
    except SourceError:
        return


def test_another_type_is_said() -> None:
    with pytest.raises(SourceError, match="its type is unknown"):
        read(packed(MonitoringAssignment(name="a"), "type.googleapis.com/other"))


def test_bytes_that_are_no_assignment_are_said() -> None:
    with pytest.raises(SourceError, match="not a MonitoringAssignment of MADS v1alpha1"):
        read(b"\xff\xff")
