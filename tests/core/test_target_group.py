import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kuma_sd import GroupKey, Key, TargetGroup, TransformError
from kuma_sd.core.target_group import LONGEST_LABEL_NAME

KEY = GroupKey(Key("", "default", "backend-01", 0), 0)

# What JSON writes and a strict YAML reader takes.
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)


def test_a_group_is_one_line_of_json_with_sorted_labels() -> None:
    rendered = TargetGroup.render(KEY, {"mesh": "default", "__address__": "192.0.2.1:5670", "env": "prod"})
    assert rendered.json == b'{"targets":["192.0.2.1:5670"],"labels":{"env":"prod","mesh":"default"}}'
    assert rendered.targets == ["192.0.2.1:5670"]
    assert rendered.labels == {"env": "prod", "mesh": "default"}


def test_an_empty_value_is_an_absent_label() -> None:
    rendered = TargetGroup.render(KEY, {"__address__": "192.0.2.1:5670", "env": ""})
    assert rendered.labels == {}


@given(st.dictionaries(text.filter(lambda name: name != "__address__"), text.filter(bool)), text)
def test_a_line_reads_the_same_as_json_and_as_yaml(labels: dict[str, str], address: str) -> None:
    rendered = TargetGroup.render(KEY, labels | {"__address__": address})
    expected = {"targets": [address], "labels": labels}
    assert b"\n" not in rendered.json
    assert json.loads(rendered.json) == expected
    assert yaml.safe_load(b"- " + rendered.json + b"\n") == [expected]


@pytest.mark.parametrize("character", ["\x7f", "\x85", "\x9f", "\u2028", "\u2029", "\ufffe", "\uffff"])
def test_what_strict_yaml_refuses_is_escaped(character: str) -> None:
    rendered = TargetGroup.render(KEY, {"__address__": "a", "env": f"<{character}>"})
    assert f'"<\\u{ord(character):04x}>"'.encode() in rendered.json


@pytest.mark.parametrize("labels", [{"env": "\ud800"}, {"env": 7}, {"x" * (LONGEST_LABEL_NAME + 1): "prod"}])
def test_what_would_cost_the_whole_file_is_an_error(labels: dict[str, str]) -> None:
    with pytest.raises(TransformError):
        TargetGroup.render(KEY, {"__address__": "a"} | labels)
