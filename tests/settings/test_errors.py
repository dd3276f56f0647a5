"""Whatever is wrong in settings is one line that says where it stands and what to do about it."""

import argparse
import re
from dataclasses import dataclass
from pathlib import Path

import pytest
from os_reasons import NO_SUCH_FILE
from settings_kit import DESCRIPTIONS, PLUGINS, StreamOptions, never, plugins_of, settings_of

from kuma_sd import NUMBER, REQUIRED, SECRET, TEXT, OutputPlugin, Secret, SourcePlugin, option
from kuma_sd.core.errors import ConfigError, KumaSDError, PluginError
from kuma_sd.core.options import options_of
from kuma_sd.settings.cli_parser import Program
from kuma_sd.settings.schema import CoreOptions

DURATION = "is not a duration like 500ms, 30s, 2m or 1h30m"
VALID = "one starts with a small letter, followed by small letters, digits, '-' and '_'"
UNIQUE = "give one another name, as in NAME=VALUE"
CORE = ", ".join(declared.name for declared in (*options_of(CoreOptions), *options_of(StreamOptions)))
NOT_NAMED = "neither cp-address nor transform nor output has an item of that name"


def message_of(*flags: str, expected: type[KumaSDError] = ConfigError, **settings: object) -> str:
    """Load settings that are wrong, and return what is said of them."""
    with pytest.raises(expected) as raised:
        settings_of(*flags, **settings)  # type: ignore[arg-type] # (passed on as they are)
    assert isinstance(raised.value, expected)
    return str(raised.value)


IN_FILES = [
    ("[file_sd]\npth = /x", "x:2: unknown option 'pth' in [file_sd]; did you mean 'path'?"),
    ("[file_sd]\nno-path = /x", "x:2: unknown option 'no-path' in [file_sd]; did you mean 'path'?"),
    ("[file_sd]\npat = /x", "x:2: unknown option 'pat' in [file_sd]; did you mean 'path'?"),
    ("[file_sd]\nPATH = /x", "x:2: unknown option 'PATH' in [file_sd]; did you mean 'path'?"),
    (
        "[file_sd]\nqqq = s3cr3t",
        "x:2: unknown option 'qqq' in [file_sd]; there are path, mode, transform, label-profile, min-interval",
    ),
    ("[kuma-sd]\nmin_interval = 1s", "x:2: unknown option 'min_interval' in [kuma-sd]; did you mean 'min-interval'?"),
    ("[kuma-sd]\npath = /x", "x:2: unknown option 'path' in [kuma-sd]; it stands in [file_sd]"),
    ("[file_sd]\nname = x", "x:2: unknown option 'name' in [file_sd]; it stands in [kuma-sd]"),
    ("[kuma-sd]\nfile-sd-path = /x", "x:2: unknown option 'file-sd-path' in [kuma-sd]; it is 'path' in [file_sd]"),
    ("[kuma-sd]\nconfig = /x", f"x:2: unknown option 'config' in [kuma-sd]; there are {CORE}"),
    (
        "[kuma-sd]\noutput = null\n[null]\npath = /x",
        "x:4: unknown option 'path' in [null]; there are transform, label-profile, min-interval",
    ),
    (
        "[kuma-sd]\ntransform = relabel\n[relabel]\nmin-interval = 1s",
        "x:4: unknown option 'min-interval' in [relabel]; it stands in [kuma-sd] or [file_sd]",
    ),
    ("[file_sdd]\npath = /x", "x:1: unknown section [file_sdd]; did you mean [file_sd]?"),
    ("[kuma_sd]\n", "x:1: unknown section [kuma_sd]; did you mean [kuma-sd]?"),
    ("[ kuma-sd ]\n", "x:1: unknown section [ kuma-sd ]; did you mean [kuma-sd]?"),
    (
        "[relabel]\nrules = x",
        "x:1: [relabel] has no effect: no transform is named so; add 'transform = relabel' under [kuma-sd]",
    ),
    (
        "[push]\ntoken = s3cr3t",
        "x:1: [push] has no effect: no output is named so; add 'output = file_sd push' under [kuma-sd]",
    ),
    (
        "[kuma-sd]\nstate-dir = /x\n guard-hold = s3cr3t",
        (
            "x:3: 'guard-hold' is indented, so this line continues 'state-dir' of line 2; remove the blanks in front "
            "of it\nx:2: state-dir in [kuma-sd]: its value has several lines and is not a path"
        ),
    ),
    ("[kuma-sd]\ntransform =\n  relabel\n  guard-hold = 5m\n[relabel]", "x:2: '=' has no valid name; " + VALID),
    (
        "[kuma-sd]\ncp-address = grpc://a east=grpc://b",
        "x:2: 'grpc://a' has no name; several control planes need names, like north=grpc://a",
    ),
    ("[DEFAULT]\n", f"x:1: unknown section [DEFAULT]; {NOT_NAMED}"),
    ("[kuma-sd]\nmin-interval = fast", f"x:2: min-interval in [kuma-sd]: 'fast' {DURATION}"),
    ("[kuma-sd]\nmin-interval =", f"x:2: min-interval in [kuma-sd]: '' {DURATION}"),
    ("[kuma-sd]\nmin-interval = 1s\n  2s", f"x:2: min-interval in [kuma-sd]: its value {DURATION}"),
    ("[file_sd]\n\nmin-interval = fast", f"x:3: min-interval in [file_sd]: 'fast' {DURATION}"),
    ("[file_sd]\nmode = rw", "x:2: mode in [file_sd]: 'rw' is not a whole number"),
    ("[kuma-sd]\nlog-level = loud", "x:2: log-level in [kuma-sd]: 'loud' is not one of debug, info, warn, error, off"),
    ("[kuma-sd]\napi-version = v2", "x:2: api-version in [kuma-sd]: 'v2' is not one of auto, v1, v1alpha1"),
    (
        "[kuma-sd]\nlabel-profile = go",
        "x:2: label-profile in [kuma-sd]: 'go' is not one of kuma-prometheus-sd, kuma_sd_configs, both",
    ),
    ("[kuma-sd]\noutput = push\n[push]\npin = s3cr3t", "x:4: pin in [push]: its value is not a token"),
    ("[kuma-sd]\noutput = push\n[push]\ntokn = s3cr3t", "x:4: unknown option 'tokn' in [push]; did you mean 'token'?"),
    ("[kuma-sd]\noutput =", "x:2: output is empty; name at least one, like file_sd"),
    ("[kuma-sd]\ncp-address =", "x:2: cp-address is empty; name at least one, like grpc://localhost:5676"),
    (
        "[kuma-sd]\ncp-address = grpc://a grpc://b",
        (
            "x:2: several control planes need names, like east=grpc://a west=grpc://b; "
            "hosts after a comma are replicas of one"
        ),
    ),
    ("[kuma-sd]\ncp-address = kuma:5676", "x:2: 'kuma:5676' has no scheme; did you mean 'grpc://kuma:5676'?"),
    (
        "[kuma-sd]\ncp-address = east=kuma:5676",
        "x:2: 'east=kuma:5676' has no scheme; did you mean 'east=grpc://kuma:5676'?",
    ),
    ("[kuma-sd]\ncp-address = East=grpc://a", f"x:2: 'East=grpc://a' has no valid name; {VALID}"),
    ("[kuma-sd]\ncp-address = =grpc://a", f"x:2: '=grpc://a' has no valid name; {VALID}"),
    ("[kuma-sd]\ncp-address = grpc://", "x:2: 'grpc://' is not [NAME=]URL, like grpc://localhost:5676"),
    ("[kuma-sd]\ncp-address = GRPC://a", "x:2: 'GRPC://a' is not [NAME=]URL, like grpc://localhost:5676"),
    (
        "[kuma-sd]\ncp-address = web=grpc://a",
        "x:2: 'web=grpc://a' takes the name 'web', which kuma-sd keeps for itself",
    ),
    (
        "[kuma-sd]\noutput = kuma-sd=file_sd",
        "x:2: 'kuma-sd=file_sd' takes the name 'kuma-sd', which kuma-sd keeps for itself",
    ),
    ("[kuma-sd]\noutput = 1=file_sd", f"x:2: '1=file_sd' has no valid name; {VALID}"),
    ("[kuma-sd]\noutput = a=", "x:2: 'a=' names no output after '='"),
    ("[kuma-sd]\noutput = file_sd file_sd", f"x:2: 'file_sd' is the name of an output already (x:2); {UNIQUE}"),
    (
        "[kuma-sd]\ncp-address = a=grpc://x a=grpc://y",
        f"x:2: 'a' is the name of a control plane already (x:2); {UNIQUE}",
    ),
    (
        "[kuma-sd]\ncp-address = a=grpc://x\noutput = a=push",
        f"x:3: 'a' is the name of a control plane already (x:2); {UNIQUE}",
    ),
    ("[kuma-sd]\ntransform = file_sd=relabel", f"x:2: 'file_sd' is the name of an output already (default); {UNIQUE}"),
    (
        "[kuma-sd]\ntransform = a=relabel\n[file_sd]\ntransform = a=filter",
        "x:4: 'a' is a transform 'filter' here and a transform 'relabel' elsewhere (x:2); give one another name",
    ),
    (
        "[kuma-sd]\ntransform = a=relabel a",
        "x:2: 'a' is in this list twice; for two instances of one plugin use NAME=VALUE",
    ),
    (
        "[kuma-sd]\noutput = a_b=null a-b=null",
        "'transform' in [a-b] and 'transform' in [a_b] would both be --a-b-transform; give an instance another name",
    ),
    (
        "[kuma-sd]\n\noutput = min=file_sd interval",
        "x:3: there is no output 'interval'; installed: file_sd, null, push",
    ),
    (
        "[kuma-sd]\ncp-address = api=grpc://a\noutput = file_sd\n[api]\nversion = v1",
        "x:5: unknown option 'version' in [api]; did you mean 'api-version'?",
    ),
    ("[kuma-sd]\nname = a\nname = s3cr3t", "x:3: 'name' in [kuma-sd] is set in line 2 already"),
]


@pytest.mark.parametrize(("text", "message"), IN_FILES)
def test_a_mistake_in_the_file_is_one_line_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    file = tmp_path / "x"
    file.write_text(text)
    expected = PluginError if "there is no " in message else ConfigError
    assert message_of(file=file, expected=expected).replace(str(file), "x") == message


FLAGS = [
    (["--pth", "s3cr3t"], "unknown flag --pth"),
    (["--file-sd-pth=s3cr3t"], "unknown flag --file-sd-pth; did you mean --file-sd-path?"),
    (["--file-sd-pat=s3cr3t"], "unknown flag --file-sd-pat; did you mean --file-sd-path?"),
    (["-x"], "unknown flag -x"),
    (["extra"], "unexpected argument 'extra'"),
    (["redis://user:pa55@host"], "unexpected argument (not shown: it may hold a secret)"),
    (["--min-interval", "fast"], f"flag --min-interval: 'fast' {DURATION}"),
    (["--min-interval="], f"flag --min-interval: '' {DURATION}"),
    (["--output-file="], "flag --output-file: '' is not a path"),
    (["--file-sd-mode", "rw"], "flag --file-sd-mode: 'rw' is not a whole number"),
    (["--output="], "flag --output: output is empty; name at least one, like file_sd"),
    (["--cp-address=kuma"], "flag --cp-address: 'kuma' has no scheme; did you mean 'grpc://kuma'?"),
    (
        ["--output=push", "--push-token=s3cr3t"],
        (
            "flag --push-token: others can read the command line; "
            "set KUMA_SD_PUSH_TOKEN, or 'token' under [push] in the file"
        ),
    ),
    (["-c", "/nowhere.conf"], f"cannot read the settings file /nowhere.conf: {NO_SUCH_FILE}"),
]


@pytest.mark.parametrize(("flags", "message"), FLAGS)
def test_a_mistake_in_a_flag_is_one_line(flags: list[str], message: str) -> None:
    assert message_of(*flags) == message


@pytest.mark.parametrize("flag", ["--name", "-c"])
def test_a_flag_without_its_value_is_named_in_one_line(flag: str) -> None:
    message = message_of(flag)
    assert flag in message
    assert "\n" not in message


VARIABLES = [
    ({"KUMA_SD_MIN_INTERVAL": "fast"}, f"environment KUMA_SD_MIN_INTERVAL: 'fast' {DURATION}"),
    ({"KUMA_SD_FILE_SD_MODE": "rw"}, "environment KUMA_SD_FILE_SD_MODE: 'rw' is not a whole number"),
    ({"KUMA_SD_OUTPUT": ""}, "environment KUMA_SD_OUTPUT: output is empty; name at least one, like file_sd"),
    (
        {"KUMA_SD_OUTPUT": "push", "KUMA_SD_PUSH_PIN": "s3cr3t"},
        "environment KUMA_SD_PUSH_PIN: its value is not a token",
    ),
    ({"KUMA_SD_CONFIG": "/nowhere"}, f"cannot read the settings file /nowhere: {NO_SUCH_FILE}"),
    (
        {"KUMA_MONITORING_ASSIGNMENT_CLIENT_API_VERSION": "v3"},
        "environment KUMA_MONITORING_ASSIGNMENT_CLIENT_API_VERSION: 'v3' is not one of auto, v1, v1alpha1",
    ),
]


@pytest.mark.parametrize(("environment", "message"), VARIABLES)
def test_a_mistake_in_the_environment_is_one_line(environment: dict[str, str], message: str) -> None:
    assert message_of(environment=environment) == message


PLUGINS_MISSING = [
    (["--output=file-sd"], "flag --output: there is no output 'file-sd'; did you mean 'file_sd'?"),
    (["--transform=relable"], "flag --transform: there is no transform 'relable'; did you mean 'relabel'?"),
    (["--transform=a=b"], "flag --transform: there is no transform 'b'; installed: filter, relabel"),
    (
        ["--cp-address=grpcs://a"],
        "flag --cp-address: there is no source for the URL scheme 'grpcs'; did you mean 'grpc'?",
    ),
    (
        ["--cp-address=consul://a"],
        "flag --cp-address: there is no source for the URL scheme 'consul'; installed: file, grpc, http",
    ),
]


@pytest.mark.parametrize(("flags", "message"), PLUGINS_MISSING)
def test_a_plugin_that_is_not_installed_is_an_error(flags: list[str], message: str) -> None:
    assert message_of(*flags, expected=PluginError) == message


@dataclass(frozen=True)
class AddressOptions:
    address: str = option("", TEXT, "Collides when the instance is called cp.")


@dataclass(frozen=True)
class TransformOptions:
    transform: str = option("", TEXT, "Is the core's.")


@dataclass(frozen=True)
class OutputOptions:
    output: str = option("", TEXT, "Is the core's.")


@dataclass(frozen=True)
class SecretNameOptions:
    name: Secret = option(Secret(""), SECRET, "Is no secret elsewhere.")


@dataclass(frozen=True)
class ConfigOptions:
    config: str = option("", TEXT, "Is the file's flag.")


CLASHING: dict[str, SourcePlugin | OutputPlugin] = {
    "output.address": OutputPlugin(never, AddressOptions),
    "output.transform": OutputPlugin(never, TransformOptions),
    "source.core": SourcePlugin(never, OutputOptions),
    "source.secret": SourcePlugin(never, SecretNameOptions),
    "source.config": SourcePlugin(never, ConfigOptions),
}
ALL = plugins_of({**DESCRIPTIONS, **CLASHING})


@pytest.mark.parametrize(
    ("flags", "expected", "message"),
    [
        (
            ["--output=cp=address"],
            ConfigError,
            (
                "'address' in [cp] and 'cp-address' in [kuma-sd] would both be --cp-address; give an instance another "
                "name"
            ),
        ),
        (
            ["--output=transform"],
            PluginError,
            (
                "output 'transform' of no distribution and kuma-sd both have an option 'transform' in [transform]; "
                "rename the option in your plugin, or install versions of both that go together"
            ),
        ),
        (
            ["--cp-address=core://a"],
            PluginError,
            (
                "source 'core' of no distribution and kuma-sd both have an option 'output' in [kuma-sd]; "
                "rename the option in your plugin, or install versions of both that go together"
            ),
        ),
        (
            ["--cp-address=a=grpc://a", "--cp-address=b=secret://b"],
            PluginError,
            (
                "source 'grpc' of no distribution and source 'secret' of no distribution do not agree on what kind of "
                "option 'name' is; rename the option in your plugin, or use one of them"
            ),
        ),
        (
            ["--cp-address=config://a"],
            ConfigError,
            "the flag --config would be there twice; give the instance that has it another name",
        ),
    ],
)
def test_options_that_would_have_one_flag_are_refused(
    flags: list[str], expected: type[KumaSDError], message: str
) -> None:
    assert message_of(*flags, plugins=ALL, expected=expected) == message


def test_an_option_that_looks_like_a_flag_of_the_command_is_refused() -> None:
    def add_arguments(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--once-min-interval")

    program = Program(add_arguments=add_arguments)
    message = message_of("--output=once=null", program=program)
    flag = "--once-min-interval"
    assert message == f"the flag {flag} would be there twice; give the instance that has it another name"


def test_no_message_shows_a_secret() -> None:
    for text, message in IN_FILES:
        assert "s3cr3t" not in message or "s3cr3t" not in text
    assert all("s3cr3t" not in message for _, message in [*FLAGS, *VARIABLES])


def test_help_says_everything(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    with pytest.raises(SystemExit) as ended:
        settings_of("--output", "file_sd push", "--cp-address=east=grpc://a", "--help", plugins=PLUGINS)
    assert ended.value.code == 0
    # Before Python 3.13, argparse writes "-c FILE, --config FILE".
    text = re.sub(r" (\S+)(?=, --\S+ \1)", "", " ".join(capsys.readouterr().out.split()))
    for part in (
        "-c, --config FILE the settings file (KUMA_SD_CONFIG; ",
        "settings: --cp-address [NAME=]URL Control planes to follow",
        "(default: grpc://localhost:5676; KUMA_SD_CP_ADDRESS)",
        "control planes: --name TEXT The node id. (default: kuma_sd; KUMA_SD_NAME)",
        "[east]: control plane grpc://a: --east-name TEXT --name for this one alone (KUMA_SD_EAST_NAME)",
        "[file_sd]: output file_sd: --output-file, --file-sd-path PATH The file, which is 100% replaced.",
        "[push]: output push: 'token' in the file or KUMA_SD_PUSH_TOKEN, never a flag: What opens the door.",
        "--push-limit NUMBER How much at most. (KUMA_SD_PUSH_LIMIT)",
    ):
        assert part in text
    assert "--push-token" not in text


def test_all_mistakes_are_told_at_once_each_on_its_line(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_text(
        "[kuma-sd]\nguard-hold = long\nmin-interval = fast\nnonsense\nmax-labels = many\n"
        "[file_sd]\npth = /x\nmode = rw\n"
    )
    lines = message_of(file=file).replace(str(file), "x").splitlines()
    assert [line.split(": ")[0] for line in lines] == ["x:4", "x:7", "x:3", "x:2", "x:5", "x:8"]


def test_a_path_has_one_line(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_text("[kuma-sd]\nstate-dir = /x\n  and more\n")
    assert "has several lines and is not a path" in message_of(file=file)


@pytest.mark.parametrize("value", ["/x ; the state", "/x # the state", "/x\t; y"])
def test_a_comment_behind_a_value_is_a_warning(tmp_path: Path, value: str) -> None:
    file = tmp_path / "x"
    file.write_text(f"[kuma-sd]\nstate-dir = {value}\n")
    (warning,) = settings_of(file=file).warnings
    assert warning.startswith(f"{file}:2: the value of 'state-dir' includes what follows ' ")


@pytest.mark.parametrize("value", ["/x;y", "/x#y", '/x "a ; b"', "/x 'a # b'"])
def test_a_value_may_hold_what_begins_comments(tmp_path: Path, value: str) -> None:
    file = tmp_path / "x"
    file.write_text(f"[kuma-sd]\nstate-dir = {value}\n")
    assert settings_of(file=file).warnings == ()


@dataclass(frozen=True)
class SiteOptions:
    name: str = option(REQUIRED, TEXT, "The site.")
    token: Secret = option(REQUIRED, SECRET, "The key to it.")
    limit: int = option(3, NUMBER, "How many.", at_least=1, at_most=9)


SITE = plugins_of({**DESCRIPTIONS, "output.site": OutputPlugin(never, SiteOptions)})


def test_an_option_that_must_be_set_is_missing() -> None:
    assert message_of("--output=east=site", plugins=SITE).splitlines() == [
        "flag --output: [east]: name must be set, as 'name' under [east], --east-name or KUMA_SD_EAST_NAME",
        "flag --output: [east]: token must be set, as 'token' under [east] or KUMA_SD_EAST_TOKEN",
    ]
    message = message_of("--output=site", "--site-name=", "--site-limit=10", plugins=SITE)
    assert message.splitlines()[::2] == [
        "flag --site-name: '' is empty, but must be set",
        "flag --site-limit: '10' is more than 9",
    ]
