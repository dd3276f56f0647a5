import pytest

from kuma_sd.prometheus.label_profiles import LabelProfile
from kuma_sd.testing import target

FACTS = {
    "__address__": "192.0.2.1:5670",
    "__metrics_path__": "/metrics",
    "__scheme__": "http",
    "dataplane": "backend-01",
    "instance": "backend-01",
    "job": "backend",
    "mesh": "default",
    "service": "backend",
}


def test_the_default_profile_gives_the_labels_of_the_go_program() -> None:
    profile = LabelProfile("kuma-prometheus-sd")
    assert profile(target(labels={"env": "prod", "envs": ",prod,"})) == FACTS | {"env": "prod", "envs": ",prod,"}


def test_facts_win_over_tags_of_their_name() -> None:
    profile = LabelProfile("kuma-prometheus-sd")
    assert profile(target(labels={"job": "mine", "mesh": "mine", "__scheme__": "mine"})) == FACTS


def test_an_empty_fact_leaves_a_label_of_that_name_as_it_is() -> None:
    profile = LabelProfile("kuma-prometheus-sd")
    labels = profile(target(service="", address="", metrics_path="", labels={"job": "mine", "__address__": "a:1"}))
    assert labels["job"] == "mine"
    assert labels["__address__"] == "a:1"
    assert "service" not in labels
    assert "__metrics_path__" not in labels


def test_the_profile_kuma_sd_configs_gives_what_prometheus_discovers() -> None:
    profile = LabelProfile("kuma_sd_configs")
    assert profile(target(labels={"kuma.io/service": "backend", "empty": ""})) == {
        "__address__": "192.0.2.1:5670",
        "__metrics_path__": "/metrics",
        "__scheme__": "http",
        "__meta_kuma_dataplane": "backend-01",
        "__meta_kuma_mesh": "default",
        "__meta_kuma_service": "backend",
        "__meta_kuma_label_kuma_io_service": "backend",
        "instance": "backend-01",
    }


def test_the_profile_both_is_the_union() -> None:
    one = target(control_plane="east")
    union = LabelProfile("kuma-prometheus-sd")(one) | LabelProfile("kuma_sd_configs")(one)
    assert LabelProfile("both")(one) == union


@pytest.mark.parametrize(
    ("profile", "label"), [("kuma-prometheus-sd", "control_plane"), ("kuma_sd_configs", "__meta_kuma_control_plane")]
)
def test_a_named_control_plane_adds_its_name(profile: str, label: str) -> None:
    assert LabelProfile(profile)(target(control_plane="east"))[label] == "east"
    assert label not in LabelProfile(profile)(target())


def test_the_name_of_the_control_plane_never_replaces_a_tag() -> None:
    labels = LabelProfile("kuma-prometheus-sd")(target(control_plane="east", labels={"control_plane": "mine"}))
    assert labels["control_plane"] == "mine"
    labels = LabelProfile("kuma-prometheus-sd")(target(control_plane="east", labels={"control_plane": ""}))
    assert labels["control_plane"] == "east"


@pytest.mark.parametrize("profile", ["kuma-prometheus-sd", "kuma_sd_configs", "both"])
@pytest.mark.parametrize("before", ["", "east"])
def test_published_labels_follow_the_name_of_the_control_plane(profile: str, before: str) -> None:
    labels = LabelProfile(profile)
    assert labels.renamed(labels(target(control_plane=before)), before, "west") == labels(target(control_plane="west"))


def test_a_label_that_a_transform_changed_follows_no_name() -> None:
    labels = {"control_plane": "mine", "__meta_kuma_control_plane": "east"}
    renamed = LabelProfile("both").renamed(labels, "east", "west")
    assert renamed == {"control_plane": "mine", "__meta_kuma_control_plane": "west"}


def test_names_are_made_valid() -> None:
    profile = LabelProfile("kuma-prometheus-sd")
    labels = profile(target(labels={"kuma.io/zone": "1", "9lives/cat": "2", "": "3", "ünder": "4"}))
    assert labels == FACTS | {"kuma_io_zone": "1", "_9lives_cat": "2", "_": "3", "_nder": "4"}
    assert profile.repaired == 4
    assert profile.collided == 0


@pytest.mark.parametrize(
    ("labels", "winner"),
    [
        ({"a-b": "invalid", "a_b": "valid"}, "valid"),
        ({"a.b": "larger", "a-b": "smaller"}, "smaller"),
        ({"a_b": "", "a-b": "present"}, "present"),
    ],
)
def test_of_names_that_become_one_the_valid_wins_else_the_smallest(labels: dict[str, str], winner: str) -> None:
    profile = LabelProfile("kuma-prometheus-sd")
    assert profile(target(labels=labels)) == FACTS | {"a_b": winner}
    assert profile(target(labels=dict(reversed(labels.items())))) == FACTS | {"a_b": winner}
    assert profile.collided == (0 if "" in labels.values() else 2)
