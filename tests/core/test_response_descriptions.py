import msgspec
import pytest

from kuma_sd import KumaSDError
from kuma_sd.core.response_descriptions import body_shown, problem_shown, type_shown, version_shown

MARK = "s3cr3t-t0k3n"


class Shape(msgspec.Struct):
    name: str
    parts: dict[str, list[int]] | None = None


def problem(data: bytes) -> str:
    with pytest.raises((msgspec.MsgspecError, UnicodeDecodeError)) as caught:
        msgspec.json.decode(data, type=Shape)
    return problem_shown(caught.value)


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b'{"name": 1}', "Expected `str`, got `int` - at `$.name`"),
        (
            b'{"name": "a", "parts": {"%b": ["%b"]}}' % (2 * (MARK.encode(),)),
            "Expected `int`, got `str` - at `$.parts[...][0]`",
        ),
        (b"{}", "Object missing required field `name`"),
        (b'{"name"', "Input data was truncated"),
        (b'{"name" 1}', "JSON is malformed: expected ':' (byte 8)"),
        (b'{"name": "a" x}', "JSON is malformed: expected ',' or '}' (byte 13)"),
        (b'{"name": "\xff"}', "it is not UTF-8"),
    ],
)
def test_a_problem_of_structure_is_shown(data: bytes, shown: str) -> None:
    assert problem(data) == shown


@pytest.mark.parametrize(
    "error",
    [
        ValueError(MARK),
        KeyError(MARK),
        msgspec.ValidationError(f"Invalid enum value {MARK!r}"),
        msgspec.ValidationError(f"Object contains unknown field `{MARK}`"),
        msgspec.ValidationError(f"Expected `int`, got `str` - at `$.a`\n{MARK}"),
    ],
)
def test_a_problem_that_may_quote_a_value_is_shown_by_its_type(error: Exception) -> None:
    assert problem_shown(error) == f"it fails with {type(error).__name__}"


def test_an_error_of_kuma_sd_is_shown_as_it_is() -> None:
    assert problem_shown(KumaSDError("no address")) == "no address"
    assert problem_shown(RecursionError()) == "it is nested too deeply"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("2.14.3", "2.14.3"),
        ("v2.6", "2.6"),
        ("0.0.0-preview.vabcdef012", "0.0.0"),
        ("127.0.0.1", ""),
        (MARK, ""),
        ("1.23456789", ""),
        ("", ""),
    ],
)
def test_of_a_version_the_numbers_are_shown(text: str, shown: str) -> None:
    assert version_shown(text) == shown


def test_only_known_types_are_shown() -> None:
    envoy = "type.googleapis.com/envoy.config.cluster.v3.Cluster"
    assert type_shown(envoy) == repr(envoy)
    assert type_shown(f"type.googleapis.com/envoy.{MARK}.v3.Cluster") == "unknown"


@pytest.mark.parametrize(
    ("body", "shown"),
    [
        (b"", "empty"),
        (b" <!DOCTYPE html><p>", "an HTML page, 19 bytes"),
        (b"<HTML>", "an HTML page, 6 bytes"),
        (b"<?xml ?>", "XML, 8 bytes"),
        (b"[1]", "JSON, 3 bytes"),
        (MARK.encode() * 1000, "neither JSON nor HTML, 12 KiB"),
    ],
)
def test_of_a_body_kind_and_size_are_shown(body: bytes, shown: str) -> None:
    assert body_shown(body) == shown
