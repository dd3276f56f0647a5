import pytest
from hypothesis import given
from hypothesis import strategies as st
from resources import packed

from kuma_sd import Key, SourceError, Target
from kuma_sd.mads.codecs.v1 import LONGEST_LABEL, V1_PROTOBUF, _Labels
from kuma_sd.proto.mads_v1_labels_pb2 import Label
from kuma_sd.proto.mads_v1_pb2 import MonitoringAssignment

KEY = Key("east", "demo", "backend-01", 0)


def test_a_v1_assignment_is_read_with_all_its_facts() -> None:
    message = MonitoringAssignment(mesh="demo", service="backend")
    message.targets.add(
        name="backend-01", scheme="https", address="192.168.0.1:1234", metrics_path="/x", labels={"env": "prod"}
    )
    data = packed(message)
    assert list(V1_PROTOBUF.split(data)) == [("demo", "backend-01", data)]
    assert V1_PROTOBUF.read(KEY, data) == Target(
        control_plane="east",
        mesh="demo",
        service="backend",
        name="backend-01",
        address="192.168.0.1:1234",
        scheme="https",
        metrics_path="/x",
        labels={"env": "prod"},
    )


def test_labels_of_the_assignment_win_over_those_of_the_target() -> None:
    message = MonitoringAssignment(mesh="demo", service="backend", labels={"env": "assignment", "team": "a"})
    message.targets.add(name="backend-01", labels={"env": "target", "zone": "t"})
    assert V1_PROTOBUF.read(KEY, packed(message)).labels == {"env": "assignment", "team": "a", "zone": "t"}


def test_each_of_several_targets_keeps_what_they_share() -> None:
    message = MonitoringAssignment(mesh="demo", service="backend", labels={"env": "prod"})
    message.targets.add(name="one")
    message.targets.add(name="two")
    parts = list(V1_PROTOBUF.split(packed(message)))
    assert [(mesh, name) for mesh, name, _ in parts] == [("demo", "one"), ("demo", "two")]
    for _, name, data in parts:
        read = V1_PROTOBUF.read(Key("", "demo", name, 0), data)
        assert (read.name, read.service, read.labels) == (name, "backend", {"env": "prod"})


def test_an_assignment_without_targets_is_none() -> None:
    assert list(V1_PROTOBUF.split(packed(MonitoringAssignment(mesh="demo")))) == []


@given(st.binary(max_size=200))
def test_whatever_the_bytes_nothing_but_a_source_error_comes_out(data: bytes) -> None:
    try:
        parts = list(V1_PROTOBUF.split(data))
    except SourceError:
        return
    for mesh, name, part in parts:
        V1_PROTOBUF.read(Key("", mesh, name, 0), part)


def test_another_type_is_said() -> None:
    with pytest.raises(SourceError, match="its type is unknown"):
        V1_PROTOBUF.split(packed(MonitoringAssignment(mesh="demo"), "type.googleapis.com/other"))


def test_bytes_that_are_no_assignment_are_said() -> None:
    with pytest.raises(SourceError, match="not a MonitoringAssignment of MADS v1"):
        V1_PROTOBUF.read(KEY, b"\xff\xff")


def test_long_labels_are_not_remembered() -> None:
    remembered, name = _Labels(), "x" * LONGEST_LABEL
    for number in range(10):
        entry = Label(key=name, value=str(number)).SerializeToString()
        assert remembered[entry] == (name, str(number))
    assert not remembered
    assert remembered[Label(key="env", value="prod").SerializeToString()] == ("env", "prod")
    assert len(remembered) == 1


def one_of(*targets: str) -> bytes:
    message = MonitoringAssignment(mesh="demo", service="backend", targets=[{"name": name} for name in targets])
    return packed(message)


RESOURCES = st.sampled_from([one_of("a"), one_of("b"), one_of("a", "b"), one_of(), packed(Label(key="x")), b""])


@given(st.lists(RESOURCES))
def test_resources_that_are_parsed_together_have_the_names_that_each_has_alone(resources: list[bytes]) -> None:
    together = list(V1_PROTOBUF.names(resources))
    assert len(together) == len(resources)
    for resource, found in zip(resources, together, strict=True):
        if found:
            assert list(V1_PROTOBUF.split(resource)) == [(*found, resource)]
        else:
            assert resource not in (one_of("a"), one_of("b"))


def test_beside_a_malformed_resource_each_is_parsed_alone() -> None:
    assert list(V1_PROTOBUF.names([one_of("a"), b"\xff", one_of("b")])) == [None] * 3
