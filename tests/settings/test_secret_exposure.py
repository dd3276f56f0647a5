"""Secrets where others can read them are warned about."""

from pathlib import Path

import pytest

from kuma_sd.plugin.manager import Plugins
from kuma_sd.settings.loader import load

SECRETS = [
    "basic-auth-password = s3cr3tQx7",
    "header = Authorization: Bearer s3cr3tQx7",
    "cp-address = http://user:s3cr3tQx7@localhost:5681",
    "proxy = http://user:s3cr3tQx7@proxy:3128",
]


def warnings_of(*words: str) -> tuple[str, ...]:
    return load(words, {}, Plugins()).warnings


@pytest.mark.parametrize("line", SECRETS)
@pytest.mark.parametrize(("mode", "warned"), [(0o644, True), (0o640, False), (0o600, False)])
def test_a_settings_file_with_a_secret_that_everybody_can_read_is_warned_about(
    tmp_path: Path, line: str, mode: int, *, warned: bool
) -> None:
    path = tmp_path / "kuma-sd.conf"
    path.write_text(f"[kuma-sd]\n{line}\n")
    path.chmod(mode)
    warnings = warnings_of("-c", str(path))
    assert bool(warnings) is warned
    assert all(f"{path} holds secrets" in warning and "0640" in warning for warning in warnings)
    assert "s3cr3t" not in "".join(warnings)


def test_a_settings_file_without_a_secret_may_be_read_by_everybody(tmp_path: Path) -> None:
    path = tmp_path / "kuma-sd.conf"
    path.write_text("[kuma-sd]\nname = prometheus\nbasic-auth-password =\n")
    path.chmod(0o644)
    assert warnings_of("-c", str(path)) == ()


def test_a_password_on_the_command_line_is_warned_about() -> None:
    (warning,) = warnings_of("--cp-address=http://user:s3cr3tQx7@localhost:5681")
    assert "others can read the command line" in warning
    assert "s3cr3t" not in warning


@pytest.mark.parametrize(("address", "said"), [("h?x", "may be a secret in its query"), ("u:p@h?x", "a password")])
def test_a_query_is_not_called_a_password(address: str, said: str) -> None:
    (warning,) = warnings_of(f"--cp-address=kuma-api+http://{address}")
    assert said in warning
    assert ("password" in said) is ("password" in warning)
