import re
from pathlib import Path

import pytest

from kuma_sd.cli.main import main
from kuma_sd.plugin.manager import Plugins
from kuma_sd.settings.loader import load

ROOT = Path(__file__).parents[3]


def test_every_value_is_shown_with_its_origin(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "kuma-sd.conf"
    file.write_text("[kuma-sd]\noutput = file_sd payments=file_sd\n[payments]\npath = /x.yml\n")
    monkeypatch.setenv("KUMA_SD_NAME", "me")
    assert main(["config", "-c", str(file), "--min-interval", "5s"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"# Settings from {file}.\n\n[kuma-sd]\n# default\ncp-address = grpc://localhost:5676\n")
    assert f"\n# {file}:2\noutput =\n    file_sd\n    payments=file_sd\n" in text
    assert "\n# environment KUMA_SD_NAME\nname = me\n" in text
    assert f"\n\n[payments]\n# {file}:4\npath = /x.yml\n" in text
    assert text.count("# flag --min-interval\nmin-interval = 5s\n") == 3


def test_what_is_shown_is_a_file_with_the_same_effect(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    flags = [
        "--cp-address=a=grpc://x",
        "--cp-address=b=grpc://y",
        "--a-name=n",
        "--output-file=/z.json",
        "--start-wait=0",
    ]
    assert main(["config", *flags]) == 0
    file = tmp_path / "kuma-sd.conf"
    file.write_text(capsys.readouterr().out)
    plugins = Plugins()
    assert load(["-c", str(file)], {}, plugins) == load(flags, {}, plugins)


def test_the_sample_file_is_what_config_defaults_prints(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "--defaults"]) == 0
    printed = capsys.readouterr().out
    assert (ROOT / "etc/kuma-sd.conf").read_text() == printed, "run: kuma-sd config --defaults > etc/kuma-sd.conf"


def test_the_sample_file_says_nothing_but_the_defaults(tmp_path: Path) -> None:
    sample, plugins = ROOT / "etc/kuma-sd.conf", Plugins()
    assert load(["-c", str(sample)], {}, plugins) == load([], {}, plugins)
    every = tmp_path / "every.conf"
    # Other outputs and transforms come last and are not in use by default: options of theirs would be refused.
    in_use = sample.read_text().partition("# The output 'http_sd'")[0]
    # Nor is a source other than MADS.
    in_use = re.sub(r"# Only if the address of a control plane.*?\n\n\n", "\n\n", in_use, flags=re.DOTALL)
    text, count = re.subn(r"^#(?=[a-z-]+ =)", "", in_use, flags=re.MULTILINE)
    every.write_text(text)
    settings = load(["-c", str(every)], {}, plugins)
    assert settings == load([], {}, plugins)
    assert count >= len(settings.effective)
    assert {setting.origin.split(":")[0] for setting in settings.effective} == {str(every)}


def test_secrets_are_masked_and_commented_out(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # No bundled plugin has a secret yet.
    from settings_kit import PLUGINS  # noqa: PLC0415 (stands in for the installed ones in this test only)

    monkeypatch.setattr("kuma_sd.plugin.manager.Plugins", lambda: PLUGINS)
    monkeypatch.setenv("KUMA_SD_PUSH_TOKEN", "s3cr3t")
    assert main(["config", "--output=push"]) == 0
    text = capsys.readouterr().out
    assert "\n[push]\n# environment KUMA_SD_PUSH_TOKEN\n#token = ********\n# default\npin =\n" in text
    assert "s3cr3t" not in text


def test_a_password_in_an_address_is_masked_wherever_it_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    addresses = ["--cp-address=east=https://user:s3cr3t@one,two", "--cp-address=west=grpc://u:s3cr3t@three:5676"]
    assert main(["config", *addresses]) == 0
    assert "#    east=https://********@one,two\n" in capsys.readouterr().out
    assert main(["check", "--cp-address=https://user:s3cr3t@one", "--cp-address=https://user:s3cr3t@two"]) == 2
    assert main(["check", "--cp-address=https://user:s3cr3t@one:port"]) == 2
    assert "s3cr3t" not in capsys.readouterr().err
