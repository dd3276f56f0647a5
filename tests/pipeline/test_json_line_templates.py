"""A line made by a template is the same, to the byte, as the one that is made from the label set."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuma_sd import GroupKey, Key, TransformError
from kuma_sd.core.model import Assignment, Target
from kuma_sd.core.target_group import TargetGroup
from kuma_sd.mads.codecs.v1 import TYPE_URL, V1_PROTOBUF
from kuma_sd.pipeline import json_line_templates, remembered_json
from kuma_sd.pipeline.chain import Chain
from kuma_sd.pipeline.json_line_templates import LineTemplates
from kuma_sd.prometheus.label_profiles import PROFILES, LabelProfile
from kuma_sd.prometheus.scrapable import check_scrapable
from kuma_sd.proto.mads_v1_labels_pb2 import Label, MonitoringAssignment, Resource
from kuma_sd.testing import assignment

KEY = GroupKey(Key("", "default", "a", 0), 0)

# Valid names, those that have to be repaired, that collide, that facts cover, that Prometheus prescribes.
NAMES = st.sampled_from(
    [
        "env",
        "a-b",
        "a.b",
        "a_b",
        "1a",
        "",
        "%s",
        "straße",
        "mesh",
        "job",
        "__address__",
        "__scheme__",
        "__scrape_interval__",
    ]
) | st.text(max_size=4)
VALUES = st.sampled_from(["prod", ",prod,", "", "%b", "30s", "\x7f", "\u2028", '"\\', "\ue0001\ue001"]) | st.text(
    max_size=6
)
TARGETS = st.builds(
    Target,
    control_plane=st.sampled_from(["", "east"]),
    mesh=VALUES,
    service=VALUES,
    name=VALUES,
    address=st.sampled_from(["192.0.2.1:1", "host", "", "http://host/", "[::1]:1"]) | VALUES,
    scheme=st.sampled_from(["http", "https", "", "ftp"]),
    metrics_path=VALUES,
    labels=st.dictionaries(NAMES, VALUES, max_size=5),
    job=VALUES,
)


def made_from_label_set(profile: LabelProfile, one: Target) -> bytes:
    labels = profile(one)
    line = TargetGroup.render(KEY, labels).json
    check_scrapable(labels)
    return line


class Known:
    """Reads the target that it was made with."""

    name = "known"

    def __init__(self, known: Target) -> None:
        self._known = known

    def read(self, key: Key, data: bytes) -> Target:
        del key, data
        return self._known


def of(known: Target) -> Assignment:
    return Assignment(KEY.assignment, b"", Known(known))


def outcome(make: Any) -> Any:
    try:
        return make()
    except TransformError as error:
        return str(error)


@given(name=st.sampled_from(sorted(PROFILES)), targets=st.lists(TARGETS, min_size=1, max_size=4))
def test_a_template_makes_the_same_line_and_counts_the_same(name: str, targets: list[Target]) -> None:
    profile, reference = LabelProfile(name), LabelProfile(name)
    templates = LineTemplates(profile)
    # A template is made the second time, and used the third.
    for one in targets * 3:
        if not (one.address and profile(one).get("__address__")):
            continue
        profile.repaired, profile.collided = reference.repaired, reference.collided
        expected = outcome(lambda one=one: made_from_label_set(reference, one))
        line = outcome(lambda one=one: templates.render(of(one)))
        if line is None:
            profile.repaired, profile.collided = reference.repaired, reference.collided
            continue
        assert line == expected
        if isinstance(expected, bytes):
            assert (profile.repaired, profile.collided) == (reference.repaired, reference.collided)
        profile.repaired, profile.collided = reference.repaired, reference.collided


ENCODED = st.lists(st.tuples(NAMES, VALUES).map(lambda pair: Label(key=pair[0], value=pair[1]).SerializeToString()))


@given(name=st.sampled_from(sorted(PROFILES)), own=ENCODED, shared=ENCODED)
def test_over_grpc_the_last_of_several_labels_with_one_name_counts(
    name: str, own: list[bytes], shared: list[bytes]
) -> None:
    one = MonitoringAssignment.Target(name="a", address="192.0.2.1:1", labels=own, scheme="http", metrics_path="/m")
    value = MonitoringAssignment(mesh="default", service="s", targets=[one], labels=shared)
    data = Resource(type_url=TYPE_URL, value=value).SerializeToString()
    received = Assignment(KEY.assignment, data, V1_PROTOBUF)
    templates = LineTemplates(LabelProfile(name))
    lines = [outcome(lambda: templates.render(received)) for _ in range(3)]
    expected = outcome(lambda: made_from_label_set(LabelProfile(name), received.read()))
    assert {line for line in lines if line is not None} <= {expected}


@pytest.mark.parametrize("name", PROFILES)
def test_targets_whose_labels_have_the_same_names_use_one_template(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    profile, made = LabelProfile(name), list[Any]()
    original = LineTemplates._made

    def noting(self: LineTemplates, shape: Any) -> Any:
        made.append(shape)
        return original(self, shape)

    monkeypatch.setattr(LineTemplates, "_made", noting)
    templates = LineTemplates(profile)
    labels = [{"team-name": f"t{number}", "version": str(number)} for number in range(10)]
    lines = [templates.render(assignment(f"b-{number}", labels=one)) for number, one in enumerate(labels)]
    assert lines[0] is None
    assert None not in lines[1:]
    assert len(made) == 1


def test_what_is_remembered_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(json_line_templates, "MOST_SHAPES", 5)
    monkeypatch.setattr(remembered_json, "MOST", 7)
    templates = LineTemplates(LabelProfile("both"))
    for number in range(50):
        for _ in range(3):
            labels = {f"name{number}": f"value {number}", "long": "x" * (1000 + 4000 * (number % 2))}
            templates.render(assignment("a", labels=labels, service=f"service {number}"))
        assert len(templates._templates) <= 5
        assert len(templates._seen) <= 5
        assert len(templates._facts) <= 7
        assert len(templates._known) <= 5
        assert templates._labels
        remembered = templates._labels.label.__self__  # type: ignore[attr-defined]
        assert 0 < len(remembered) <= 7
        assert max(len(value) for _, value in remembered.values()) < 1000
        assert all(len(value) < 4000 for _, values in templates._known.values() for value in values)


def test_a_chain_without_transforms_publishes_the_same_as_one_with_a_transform_that_changes_nothing() -> None:
    names = [f"b-{number}" for number in range(20)]
    labels = [
        {"env": "prod", "v": str(number % 3)} if number % 5 else {"odd-name": "", "v": "x"} for number in range(20)
    ]
    assignments = [assignment(name, labels=one) for name, one in zip(names, labels, strict=True)]
    plain, copying = (Chain(LabelProfile("both"), transforms) for transforms in ([], [lambda one, _: [dict(one)]]))
    ours, theirs = (chain.publication(sorted(assignments), 1.0) for chain in (plain, copying))
    assert ours.groups == theirs.groups
    assert plain.status == copying.status


def test_a_value_that_is_no_text_is_refused_as_everywhere() -> None:
    chain = Chain(LabelProfile("both"))
    wrong = [assignment(f"b-{number}", labels={"port": number, "l": "x"}) for number in range(3)]  # type: ignore[dict-item]
    assert chain.publication(wrong, 1.0).groups == ()
    assert chain.failing == 3
