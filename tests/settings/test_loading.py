import importlib
import itertools
import subprocess
import sys
from pathlib import Path

import pytest
from settings_kit import (
    DESCRIPTIONS,
    Describes,
    FileOptions,
    PushOptions,
    ReplayOptions,
    StreamOptions,
    origin_of,
    settings_of,
    shown,
)

from kuma_sd import Secret
from kuma_sd.core.errors import ConfigError, PluginError
from kuma_sd.plugin.catalogue import Direct
from kuma_sd.plugin.manager import Plugins
from kuma_sd.settings.cli_parser import Program
from kuma_sd.settings.loader import load


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    return tmp_path / "kuma-sd.conf"


def test_without_any_setting_there_are_defaults() -> None:
    settings = settings_of()
    assert list(map(str, settings.core.cp_address)) == ["grpc://localhost:5676"]
    assert (settings.core.min_interval, settings.core.start_wait, settings.core.guard_hold) == (1.0, 30.0, 120.0)
    assert (settings.core.log_level, settings.core.log_format) == ("info", "logfmt")
    (plane,) = settings.control_planes
    assert (plane.name, str(plane.address), plane.options) == ("", "grpc://localhost:5676", StreamOptions())
    (output,) = settings.outputs
    assert (output.name, output.options, output.transforms) == ("file_sd", FileOptions(), ())
    assert (output.label_profile, output.min_interval) == ("kuma-prometheus-sd", 1.0)
    assert {setting.origin for setting in settings.effective} == {"default"}
    assert settings.warnings == ()


def test_the_file_of_the_design_is_understood(conf: Path) -> None:
    conf.write_text("""\
[kuma-sd]
# Several control planes, e.g. one a zone, are united, and need names:
cp-address =
    east=grpc://kuma-east-1.internal:5676,kuma-east-2.internal:5676
    west=http://kuma-west.internal:5676
transform = nat=relabel
output = file_sd payments=file_sd

[nat]
rules =
    - regex: 50%
      action: drop

[file_sd]
# the default
path = /var/run/kuma-prometheus-sd/kuma.file_sd.json

[payments]
path = /var/run/kuma-prometheus-sd/payments.yml
transform = nat only=filter
label-profile = both
min-interval = 5s

[only]
match = mesh="payments"

[west]
name = of-west
""")
    settings = settings_of(file=conf)
    east, west = settings.control_planes
    assert (east.name, str(east.address)) == ("east", "grpc://kuma-east-1.internal:5676,kuma-east-2.internal:5676")
    assert (east.options.name, west.options.name) == ("kuma_sd", "of-west")
    first, payments = settings.outputs
    assert [transform.name for transform in first.transforms] == ["nat"]
    assert [(transform.name, transform.plugin_name) for transform in payments.transforms] == [
        ("nat", "relabel"),
        ("only", "filter"),
    ]
    assert payments.transforms[0] is first.transforms[0]
    assert payments.transforms[0].options.rules == "- regex: 50%\n  action: drop"
    assert payments.transforms[1].options.match == 'mesh="payments"'
    assert payments.options.path == Path("/var/run/kuma-prometheus-sd/payments.yml")
    assert (payments.label_profile, payments.min_interval) == ("both", 5.0)
    assert (first.label_profile, first.min_interval) == ("kuma-prometheus-sd", 1.0)


PLACES = ("default", "file", "environment", "flag")


@pytest.mark.parametrize(
    "places", [combination for n in range(4) for combination in itertools.combinations(PLACES[1:], n)]
)
@pytest.mark.parametrize(
    "option",
    [
        ("kuma-sd", "log-level", "--log-level", "KUMA_SD_LOG_LEVEL", "info"),
        ("kuma-sd", "name", "--name", "KUMA_SD_NAME", "kuma_sd"),
        ("payments", "path", "--payments-path", "KUMA_SD_PAYMENTS_PATH", "/var/run/targets.json"),
    ],
)
def test_flags_beat_the_environment_which_beats_the_file(
    conf: Path, option: tuple[str, str, str, str, str], places: tuple[str, ...]
) -> None:
    section, name, flag, variable, default = option
    values = {"default": default, "file": "error", "environment": "debug", "flag": "off"}
    lines = ["[kuma-sd]", "output = payments=file_sd", "", f"[{section}]" if section != "kuma-sd" else ""]
    conf.write_text("\n".join([*lines, f"{name} = error" if "file" in places else ""]))
    environment = {variable: "debug"} if "environment" in places else {}
    settings = settings_of(*([flag, "off"] if "flag" in places else []), file=conf, environment=environment)
    origins = {
        "default": "default",
        "file": f"{conf}:5",
        "environment": f"environment {variable}",
        "flag": f"flag {flag}",
    }
    winner = [*PLACES[:1], *places][-1]
    assert shown(settings, section, name) == values[winner]
    assert origin_of(settings, section, name) == origins[winner]


def test_a_list_replaces_a_list_as_a_whole(conf: Path) -> None:
    conf.write_text("[kuma-sd]\ntransform =\n  a=relabel\n  b=relabel\n")
    variable = {"KUMA_SD_TRANSFORM": "c=relabel\n d=filter"}

    def names(*flags: str, environment: dict[str, str] | None = None) -> list[str]:
        settings = settings_of(*flags, file=conf, environment=environment)
        return [transform.name for transform in settings.outputs[0].transforms]

    assert names() == ["a", "b"]
    assert names(environment=variable) == ["c", "d"]
    assert names("--transform", "e=filter", "--transform=f=filter g=filter", environment=variable) == ["e", "f", "g"]
    assert names("--transform", "", environment=variable) == []
    assert names(environment={"KUMA_SD_TRANSFORM": ""}) == []


def test_values_that_look_like_json_lists_are_plain(conf: Path) -> None:
    conf.write_text('[kuma-sd]\noutput = push\n[push]\nurls = [a, b] ["c"]\n')
    assert settings_of(file=conf).outputs[0].options.urls == ("[a,", "b]", '["c"]')
    environment = {"KUMA_SD_OUTPUT": "push", "KUMA_SD_PUSH_URLS": "[a, b]"}
    assert settings_of(environment=environment).outputs[0].options.urls == ("[a,", "b]")
    conf.write_text("[kuma-sd]\nname = [a-z]\n")
    assert settings_of(file=conf).control_planes[0].options.name == "[a-z]"
    assert settings_of("--name=--output").control_planes[0].options.name == "--output"


def test_an_empty_variable_of_a_single_value_counts_as_not_set(conf: Path) -> None:
    conf.write_text("[kuma-sd]\nname = of-file\n")
    empty = {"KUMA_SD_NAME": "", "KUMA_SD_MIN_INTERVAL": "", "KUMA_SD_CONFIG": ""}
    settings = settings_of(file=conf, environment=empty)
    assert (settings.control_planes[0].options.name, settings.core.min_interval) == ("of-file", 1.0)


def test_options_of_sources_stand_for_all_or_for_one(conf: Path) -> None:
    conf.write_text("""\
[kuma-sd]
cp-address = east=grpc://a west=file://b
name = all
[east]
api-version = v1
[west]
loop = yes
name = of-west
""")
    east, west = settings_of("--east-max-message-size", "1MiB", file=conf).control_planes
    assert east.options == StreamOptions("all", "v1", 2**20)
    assert west.options == ReplayOptions("of-west", loop=True)


def test_what_stands_for_an_instance_beats_what_stands_for_all_wherever_each_is_set(conf: Path) -> None:
    conf.write_text("[kuma-sd]\nmin-interval = 9s\n[file_sd]\nmin-interval = 2s\n")
    settings = settings_of("--min-interval", "3s", file=conf)
    assert (settings.core.min_interval, settings.outputs[0].min_interval) == (3.0, 2.0)


def test_the_only_control_plane_may_be_without_a_name() -> None:
    (plane,) = settings_of("--cp-address", "grpc://a?x=y").control_planes
    assert (plane.name, plane.address.reveal()) == ("", "grpc://a?x=y")


def test_a_section_that_a_flag_switched_off_is_unused(conf: Path) -> None:
    conf.write_text("""\
[kuma-sd]
cp-address = east=grpc://a west=file://b
output = payments=file_sd
loop = true
[payments]
transform = only=filter
anything = goes
[only]
match = x
[west]
loop = yes
""")
    settings = settings_of("--output", "file_sd", "--cp-address", "grpc://c", file=conf)
    assert [output.name for output in settings.outputs] == ["file_sd"]
    environment = {"KUMA_SD_PAYMENTS_PATH": "/x", "KUMA_SD_FILE_SD_PATH": "/y"}
    assert settings_of("--output", "file_sd", file=conf, environment=environment).warnings == ()


def test_an_empty_section_of_an_unused_plugin_may_stand_there_as_in_the_sample_file(conf: Path) -> None:
    conf.write_text("[kuma-sd]\n[push]\n[relabel]\n")
    assert settings_of(file=conf) == settings_of()


def test_the_file_is_named_by_a_flag_or_a_variable_and_may_be_a_pipe(conf: Path) -> None:
    conf.write_text("[kuma-sd]\nname = of-file\n")
    for flags in (["-c", str(conf)], [f"--config={conf}"], ["--log-level", "off", f"-c{conf}"]):
        assert settings_of(*flags).control_planes[0].options.name == "of-file"
    settings = settings_of(environment={"KUMA_SD_CONFIG": str(conf)})
    assert origin_of(settings, "kuma-sd", "name") == f"{conf}:2"
    program = "from settings_kit import *; print(settings_of('-c/dev/stdin').core.min_interval)"
    piped = subprocess.run(
        [sys.executable, "-c", program],
        check=True,
        capture_output=True,
        input="[kuma-sd]\nmin-interval = 7s",
        text=True,
        cwd=Path(__file__).parents[1] / "support",
    )
    assert piped.stdout == "7.0\n"


def test_the_same_arguments_read_an_edited_file(conf: Path) -> None:
    conf.write_text("[kuma-sd]\nname = first\n")
    before, same = settings_of(file=conf), settings_of(file=conf)
    conf.write_text("[kuma-sd]\nname = second\n")
    after = settings_of(file=conf)
    assert before == same != after


SECRETS = "[kuma-sd]\noutput = push\n[push]\ntoken = s3cr3t\n"


def test_a_secret_is_taken_from_file_and_environment_and_shown_nowhere(conf: Path) -> None:
    conf.write_text(SECRETS)
    settings = settings_of(file=conf)
    assert settings.outputs[0].options.token == Secret("s3cr3t")
    assert "s3cr3t" not in repr(settings)
    assert "s3cr3t" not in repr(settings.effective)
    assert (shown(settings, "push", "token"), origin_of(settings, "push", "token")) == ("********", f"{conf}:4")
    settings = settings_of(file=conf, environment={"KUMA_SD_PUSH_TOKEN": "other"})
    assert settings.outputs[0].options.token.reveal() == "other"
    assert origin_of(settings, "push", "token") == "environment KUMA_SD_PUSH_TOKEN"


GO = {
    "KUMA_MONITORING_ASSIGNMENT_CLIENT_URL": "grpc://go:5676",
    "KUMA_MONITORING_ASSIGNMENT_CLIENT_NAME": "go",
    "KUMA_MONITORING_ASSIGNMENT_CLIENT_API_VERSION": "v1alpha1",
    "KUMA_CONTROL_PLANE_API_SERVER_URL": "http://old:5681",
    "KUMA_PROMETHEUS_OUTPUT_FILE": "/go.json",
}


def test_the_variables_of_the_go_program_are_known() -> None:
    settings = settings_of(environment=GO)
    (plane,), (output,) = settings.control_planes, settings.outputs
    assert (str(plane.address), plane.options) == ("grpc://go:5676", StreamOptions("go", "v1alpha1"))
    assert output.options.path == Path("/go.json")
    assert origin_of(settings, "file_sd", "path") == "environment KUMA_PROMETHEUS_OUTPUT_FILE"
    assert settings.warnings == ()
    old = {"KUMA_CONTROL_PLANE_API_SERVER_URL": "http://old:5681"}
    assert str(settings_of(environment=old).control_planes[0].address) == "http://old:5681"


def test_our_variable_beats_that_of_the_go_program_and_an_option_nobody_has_is_passed_over() -> None:
    settings = settings_of(environment=GO | {"KUMA_SD_NAME": "ours", "KUMA_SD_CP_ADDRESS": ""})
    assert str(settings.control_planes[0].address) == "grpc://go:5676"
    assert settings.control_planes[0].options.name == "ours"
    assert settings_of("--output", "null", environment=GO).warnings == ()


def test_output_file_is_the_path_of_file_sd_as_in_the_go_program() -> None:
    settings = settings_of("--output-file", "/x.json")
    assert settings.outputs[0].options.path == Path("/x.json")
    assert origin_of(settings, "file_sd", "path") == "flag --output-file"
    with pytest.raises(ConfigError) as raised:
        settings_of("--output=push", "--output-file", "/x.json")
    assert str(raised.value) == "unknown flag --output-file; did you mean --output?"


def test_a_program_may_put_the_environment_first_and_have_defaults_of_its_own() -> None:
    program = Program(
        environment_first=True, defaults={("file_sd", "path"): "here.json"}, ignored_flags=("--log-max-age",)
    )
    settings = settings_of(
        "--name=flag", "--log-max-age", "3", environment={"KUMA_SD_NAME": "variable"}, program=program
    )
    assert settings.control_planes[0].options.name == "variable"
    assert settings.outputs[0].options.path == Path("here.json")
    assert settings.warnings == ("--log-max-age: ignored, since the log goes to stderr",)
    lists = settings_of("--output", "push", environment={"KUMA_SD_OUTPUT": "null"}, program=program)
    assert [output.name for output in lists.outputs] == ["null"]


@pytest.mark.parametrize(
    ("name", "warning"),
    [
        ("KUMA_SD_NAM", "unknown environment variable KUMA_SD_NAM; did you mean KUMA_SD_NAME?"),
        ("KUMA_SD_FILE_SD_PTH", "unknown environment variable KUMA_SD_FILE_SD_PTH; did you mean KUMA_SD_FILE_SD_PATH?"),
        ("KUMA_SD_QQQ", "unknown environment variable KUMA_SD_QQQ"),
    ],
)
def test_an_unknown_variable_is_a_warning(name: str, warning: str) -> None:
    assert settings_of(environment={name: "s3cr3t", "KUMA_OTHER": "x"}).warnings == (warning,)


def test_the_variables_that_kubernetes_sets_for_services_are_none_of_ours() -> None:
    of_kubernetes = {
        "KUMA_SD_SERVICE_HOST": "10.0.0.1",
        "KUMA_SD_SERVICE_PORT": "9099",
        "KUMA_SD_SERVICE_PORT_METRICS": "9099",
        "KUMA_SD_PORT": "tcp://10.0.0.1:9099",
        "KUMA_SD_PORT_9099_TCP": "tcp://10.0.0.1:9099",
        "KUMA_SD_PORT_9099_TCP_ADDR": "10.0.0.1",
    }
    assert settings_of(environment=of_kubernetes).warnings == ()
    assert settings_of(environment={"KUMA_SD_LISTEN_PORT": "9099"}).warnings != ()


def test_only_plugins_that_are_configured_are_loaded() -> None:
    used = [Direct(name, Describes(DESCRIPTIONS[name])) for name in ("source.grpc", "output.file_sd")]

    class Trap:
        name = "output.push"
        dist = None

        def load(self) -> object:
            raise AssertionError("nobody asked for it")

    assert settings_of(plugins=Plugins([*used, Trap()])) == settings_of()


def test_a_broken_plugin_that_is_configured_is_an_error() -> None:
    file_sd = Direct("output.file_sd", importlib.import_module("kuma_sd_bundled.file_sd"))
    with pytest.raises(PluginError) as raised:
        settings_of(plugins=Plugins([Direct("source.grpc", object()), file_sd]))
    reason = "it has no kuma_sd_source_plugin() that returns a description"
    assert str(raised.value) == f"source 'grpc' of no distribution cannot be loaded: {reason}"


def test_plugins_that_cannot_be_loaded_are_reported_with_all_other_mistakes() -> None:
    with pytest.raises(ConfigError) as raised:
        settings_of(
            *("--guard-hold=soon", "--output=nosuch", "--nosuch-path=x"),
            plugins=Plugins([Direct("source.grpc", object())]),
        )
    grpc, nosuch, hold = raised.value.mistakes
    reason = "it has no kuma_sd_source_plugin() that returns a description"
    assert grpc == f"source 'grpc' of no distribution cannot be loaded: {reason}"
    assert nosuch.startswith("flag --output: there is no output 'nosuch'")
    assert hold.startswith("flag --guard-hold: 'soon' is not a duration")


def test_options_that_do_not_fit_together_are_refused() -> None:
    assert settings_of("--output=push", "--push-urls=a", "--push-limit=1").outputs[0].options == PushOptions(
        urls=("a",), limit=1
    )
    with pytest.raises(ConfigError) as raised:
        settings_of("--output=push", "--push-urls=a b", "--push-limit=1")
    assert str(raised.value) == "flag --output: [push]: a limit of 1 is less than the number of urls"


def test_an_option_of_a_source_that_is_not_used_names_the_addresses_that_have_it(conf: Path) -> None:
    conf.write_text("[kuma-sd]\ncp-address = http://localhost:5676\nzones = east\n")
    with pytest.raises(ConfigError) as caught:
        load(["-c", str(conf)], {}, Plugins())
    assert str(caught.value) == (
        f"{conf}:3: unknown option 'zones' in [kuma-sd]; it needs a control plane in cp-address that begins with "
        "kuma-api+http:// or kuma-api+https://"
    )
