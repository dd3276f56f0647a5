"""Whatever is written, settings are read or refused with one line; nothing else ever comes out."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from settings_kit import settings_of

from kuma_sd.core.errors import ConfigError, PluginError

WORDS = st.sampled_from(
    [
        *(
            "",
            "a",
            "b=file_sd",
            "c=push",
            "nat=relabel",
            "filter",
            "file_sd",
            "null",
            "east=grpc://x",
            "file://y",
            "http://z",
        ),
        *("-", "--", "=", "%", "[x]", "#", "1s", "true", "v1", "é", "\u2028", "\ud800", "\x00"),
    ]
)
VALUES = st.lists(WORDS, max_size=3).map(" ".join) | st.text(max_size=8)
KEYS = ("cp-address", "output", "transform", "name", "min-interval", "path", "token", "limit", "urls", "no", "a-path")
SECTIONS = st.sampled_from(["kuma-sd", "file_sd", "nat", "b", "c", "east", "no"])
LINES = st.one_of(
    SECTIONS.map("[{}]".format), st.builds("{} = {}".format, st.sampled_from(KEYS), VALUES), VALUES.map("  {}".format)
)
FLAGS = st.builds(
    "--{}={}".format, st.sampled_from([*KEYS, "file-sd-path", "b-transform", "c-token", "config"]), VALUES
)
VARIABLES = st.dictionaries(
    st.sampled_from([f"KUMA_SD_{name.replace('-', '_').upper()}" for name in KEYS]), VALUES, max_size=2
)


@given(st.lists(LINES, max_size=8), st.lists(FLAGS, max_size=2), VARIABLES)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_settings_are_read_or_refused_in_one_line(
    tmp_path: Path, lines: list[str], flags: list[str], environment: dict[str, str]
) -> None:
    file = tmp_path / "x.conf"
    file.write_bytes("\n".join(["[kuma-sd]", *lines]).encode(errors="surrogatepass"))
    try:
        read = settings_of(*flags, file=file, environment=environment)
    except (ConfigError, PluginError) as error:
        assert str(error)  # noqa: PT017 (much of it is refused, some is not)
    else:
        assert read == settings_of(*flags, file=file, environment=environment)
        assert read.control_planes
        assert read.outputs


@pytest.mark.parametrize(
    "value", ["%", "%s", "#x", ";x", "a=b", "[x]", "[a, b]", "--", "-x", "é", '"q"', "$HOME", "a b"]
)
def test_every_spelling_of_a_text_means_the_same(tmp_path: Path, value: str) -> None:
    file = tmp_path / "x.conf"
    file.write_text(f"[kuma-sd]\nname = {value}\n")
    in_file = settings_of(file=file)
    assert in_file.control_planes[0].options.name == value
    assert in_file == settings_of(environment={"KUMA_SD_NAME": value})
    if value != "--":  # argparse takes this for no value at all
        assert in_file == settings_of(f"--name={value}")
