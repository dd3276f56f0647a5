"""Quotes, ~, $NAME and %(name)s are taken literally, which is warned about where it is hardly meant."""

from pathlib import Path

import pytest

from kuma_sd.plugin.manager import Plugins
from kuma_sd.settings.loader import load


def warnings_of(folder: Path, *lines: str) -> list[str]:
    path = folder / "x.conf"
    path.touch(0o600)
    path.write_text("\n".join(["[kuma-sd]", *lines]) + "\n")
    return [warning.removeprefix(f"{path}:") for warning in load(["-c", str(path)], {}, Plugins()).warnings]


@pytest.mark.parametrize(
    ("line", "name", "what"),
    [
        ("state-dir = ~/state", "state-dir", "'~' in it"),
        ("state-dir = ~kuma/state", "state-dir", "'~' in it"),
        ("state-dir = $HOME/state", "state-dir", "'$HOME' in it"),
        ("tls-ca-file = ${HOME}/ca.pem", "tls-ca-file", "'${HOME}' in it"),
        ("cp-address = grpc://$KUMA:5676", "cp-address", "'$KUMA' in it"),
        ("proxy = http://%(proxy)s:3128", "proxy", "'%(proxy)s' in it"),
        ('state-dir = "/var/lib/kuma-sd"', "state-dir", "quotes around its value"),
        ("name = 'kuma'", "name", "quotes around its value"),
    ],
)
def test_what_a_shell_would_replace_is_warned_about(tmp_path: Path, line: str, name: str, what: str) -> None:
    (warning,) = warnings_of(tmp_path, line)
    assert warning.startswith(f"2: {name} has {what}")


def test_a_secret_is_not_shown(tmp_path: Path) -> None:
    (warning,) = warnings_of(tmp_path, 'basic-auth-password = "s3cr3tQx7"')
    assert "s3cr3tQx7" not in warning


@pytest.mark.parametrize(
    "line",
    ["state-dir = /a~/~b/$x/100%", "name = ~$HOME", "basic-auth-password = $HOME", "cp-address = http://a:p$4@b"],
)
def test_what_may_be_meant_is_not_warned_about(tmp_path: Path, line: str) -> None:
    assert warnings_of(tmp_path, line) == []


def test_matchers_and_templates_are_not_warned_about(tmp_path: Path) -> None:
    lines = ["transform = filter labels", "[filter]", 'match = team="a"', "[labels]", "add = site=$$HOME"]
    assert warnings_of(tmp_path, *lines) == []


def test_a_flag_is_warned_about_too() -> None:
    (warning,) = load(["--file-sd-path=~/kuma.json"], {}, Plugins()).warnings
    assert warning == "flag --file-sd-path: path has '~' in it, which nothing replaces; write out what you mean"
