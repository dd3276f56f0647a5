"""The section [web] is there without being named."""

from pathlib import Path

import pytest
from settings_kit import settings_of, shown

from kuma_sd import ConfigError
from kuma_sd.settings.go_program import PROGRAM


def test_it_listens_on_loopback_by_default() -> None:
    web = settings_of().web
    assert (web.listen_address, web.config_file, web.enable_lifecycle) == (("127.0.0.1:9119",), None, False)


def test_flags_variables_and_the_file_are_the_same_thing(tmp_path: Path) -> None:
    file = tmp_path / "kuma-sd.conf"
    file.write_text("[web]\nlisten-address = :1\n  [::1]:2\nconfig-file = /web.yml\nenable-lifecycle = true\n")
    variables = {"LISTEN_ADDRESS": ":1 [::1]:2", "CONFIG_FILE": "/web.yml", "ENABLE_LIFECYCLE": "true"}
    flags = ("--web-listen-address=:1", "--web-listen-address=[::1]:2", "--web-config-file=/web.yml")
    wanted = settings_of(*flags, "--web-enable-lifecycle").web
    assert wanted.listen_address == (":1", "[::1]:2")
    assert wanted.enable_lifecycle
    assert settings_of(file=file).web == wanted
    assert settings_of(environment={f"KUMA_SD_WEB_{name}": value for name, value in variables.items()}).web == wanted


def test_an_empty_list_of_addresses_turns_it_off() -> None:
    assert settings_of("--web-listen-address=").web.listen_address == ()
    assert settings_of(environment={"KUMA_SD_WEB_LISTEN_ADDRESS": ""}).web.listen_address == ()


def test_a_switch_may_stand_alone_or_have_a_value() -> None:
    assert settings_of("--web-enable-lifecycle", "--name=x").web.enable_lifecycle
    assert not settings_of("--web-enable-lifecycle=false").web.enable_lifecycle
    assert shown(settings_of("--web-enable-lifecycle", "no"), "web", "enable-lifecycle") == "false"


def test_the_program_like_go_listens_nowhere_unless_told() -> None:
    assert settings_of(program=PROGRAM).web.listen_address == ()
    assert settings_of("--web-listen-address=:1", program=PROGRAM).web.listen_address == (":1",)


@pytest.mark.parametrize("address", ["9119", "localhost", "localhost:", "::1:9119", "a b:1", ":65536", "http://x:1"])
def test_what_is_no_address_is_refused(address: str) -> None:
    with pytest.raises(ConfigError, match=r"which is not HOST:PORT, like 127\.0\.0\.1:9119"):
        settings_of(f"--web-listen-address={address}")


def test_an_unknown_option_of_it_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "kuma-sd.conf"
    file.write_text("[web]\nlisten-adress = :1\n")
    with pytest.raises(ConfigError, match=r":2: unknown option 'listen-adress' in \[web\]; did you mean"):
        settings_of(file=file)
