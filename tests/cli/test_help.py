"""Help of a command is as long as what matters for it; the rest is behind --help-all."""

import pytest

from kuma_sd.cli.main import COMMANDS, main

SHORT = ("check", "config", "prometheus-config", "diff", "explain", "status", "accept")


def help_of(capsys: pytest.CaptureFixture[str], command: str, flag: str = "--help") -> str:
    assert main([command, flag]) == 0
    return capsys.readouterr().out


@pytest.mark.parametrize("command", SHORT)
def test_help_fits_a_screen_or_two_and_help_all_has_every_setting(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    text = help_of(capsys, command)
    assert len(text.splitlines()) <= 60
    assert "--guard-hold" not in text
    assert f"kuma-sd {command} --help-all" in text
    everything = help_of(capsys, command, "--help-all")
    assert {"--cp-address", "--file-sd-path", "--control-socket"} <= set(everything.split())


@pytest.mark.parametrize("command", ["status", "accept", "explain", "diff"])
def test_commands_that_ask_the_daemon_show_how_it_is_found(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert "--control-socket PATH" in help_of(capsys, command)


@pytest.mark.parametrize("command", sorted(set(COMMANDS) - {"version"}))
def test_examples_come_first(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    paragraphs = help_of(capsys, command).split("\n\n")
    assert paragraphs[2].startswith(("Example:", "Examples:"))
    assert f"  kuma-sd {command}" in paragraphs[2] or f"| kuma-sd {command}" in paragraphs[2]


def test_run_has_three_examples_and_all_settings(capsys: pytest.CaptureFixture[str]) -> None:
    text = help_of(capsys, "run")
    assert text.split("\n\n")[2].count("\n  kuma-sd run ") == 3
    assert "--cp-address" in text
    assert "--help-all" not in text


def test_usage_names_the_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert help_of(capsys, "explain").startswith("usage: kuma-sd explain [options] SELECTOR [OUTPUT]\n")


def test_a_flag_that_help_leaves_out_is_suggested_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["status", "--guard-hol=5m"]) == 2
    assert capsys.readouterr().err == "kuma-sd: unknown flag --guard-hol; did you mean --guard-hold?\n"


@pytest.mark.parametrize("command", [*SHORT, "run"])
def test_help_says_which_settings_file_is_read_without_c(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = " ".join(help_of(capsys, command).split())
    assert "without it, all commands but 'run' read /etc/kuma-sd.conf if that exists" in words


def test_help_shows_no_default_for_what_may_stay_unset(capsys: pytest.CaptureFixture[str]) -> None:
    words = " ".join(help_of(capsys, "run").split())
    assert "16 if path has a directory {part}. At least 1. At most 256. (KUMA_SD_FILE_SD_PARTS)" in words
    assert "(default: none; KUMA_SD_CONTROL_SOCKET)" not in words
    # An empty list is a value.
    assert "(default: none; KUMA_SD_TRANSFORM)" in words
