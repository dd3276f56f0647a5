import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuma_sd import Key, SourceError, Target
from kuma_sd.mads.codecs.v1_json import TYPE_URL, V1_JSON

KEY = Key("east", "demo", "backend-01", 0)


def resource(**fields: object) -> bytes:
    return json.dumps({"@type": TYPE_URL, "mesh": "demo", "service": "backend"} | fields).encode()


@pytest.mark.parametrize("spelling", ["metrics_path", "metricsPath"])
def test_a_json_assignment_is_read_in_both_spellings(spelling: str) -> None:
    target = {"name": "backend-01", "scheme": "https", "address": "a:1", spelling: "/x", "labels": {"env": "prod"}}
    data = resource(targets=[target])
    assert list(V1_JSON.split(data)) == [("demo", "backend-01", data)]
    assert V1_JSON.read(KEY, data) == Target(
        "east", "demo", "backend", "backend-01", "a:1", "https", "/x", {"env": "prod"}
    )


def test_absent_fields_and_nulls_are_empty() -> None:
    for fields in ({"targets": [{"name": None, "labels": None}], "service": None}, {"targets": [{}], "service": ""}):
        data = resource(**fields)
        assert list(V1_JSON.split(data)) == [("demo", "", data)]
        assert V1_JSON.read(KEY, data).labels == {}
        assert V1_JSON.read(KEY, data).service == ""


def test_labels_of_the_assignment_win_over_those_of_the_target() -> None:
    data = resource(labels={"env": "assignment"}, targets=[{"name": "a", "labels": {"env": "target", "zone": "t"}}])
    assert V1_JSON.read(KEY, data).labels == {"env": "assignment", "zone": "t"}


def test_each_of_several_targets_keeps_what_they_share() -> None:
    data = resource(labels={"env": "prod"}, targets=[{"name": "one"}, {"name": "two", "metrics_path": "/two"}])
    parts = list(V1_JSON.split(data))
    assert [name for _, name, _ in parts] == ["one", "two"]
    read = V1_JSON.read(Key("", "demo", "two", 0), parts[1][2])
    assert (read.service, read.metrics_path, read.labels) == ("backend", "/two", {"env": "prod"})


@pytest.mark.parametrize("data", [b"", b"{", b"[]", b'{"mesh": 1}', b'{"@type": "type.googleapis.com/other"}', b"{}"])
def test_what_is_no_assignment_is_said(data: bytes) -> None:
    with pytest.raises(SourceError):
        list(V1_JSON.split(data))


JSON = st.recursive(
    st.none() | st.booleans() | st.text() | st.integers(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.sampled_from(["@type", "mesh", "service", "targets", "labels", "name", "address"]), inner)
    ),
)


@given(JSON)
def test_whatever_the_json_nothing_but_a_source_error_comes_out(value: object) -> None:
    fields = value if isinstance(value, dict) else {"targets": value}
    try:
        parts = list(V1_JSON.split(json.dumps(fields | {"@type": TYPE_URL}).encode()))
    except SourceError:
        return
    for mesh, name, part in parts:
        V1_JSON.read(Key("", mesh, name, 0), part)
