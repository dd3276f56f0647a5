"""The frame of the command line: choosing commands, help, errors and exit statuses."""

import argparse
import errno
import json
import os
import subprocess
import sys
import types
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import pytest

import kuma_sd.__main__
import kuma_sd.cli.main
from kuma_sd import __version__
from kuma_sd.cli.main import COMMANDS, argument_type, main
from kuma_sd.core.errors import ConfigError, OutputError, PluginError
from kuma_sd.core.option_types import DURATION
from kuma_sd.settings.model import Settings

Execute = Callable[[argparse.Namespace, Settings | None], int]
Replace = Callable[..., None]


@pytest.fixture
def replace(monkeypatch: pytest.MonkeyPatch) -> Replace:
    """Put another command in the place of ``run``."""

    def replace(execute: Execute, *, takes_settings: bool = True) -> None:
        module = types.ModuleType("kuma_sd.cli.commands.run", "Do as the test says.\n\nExample:\n  kuma-sd run 100%")
        module.TAKES_SETTINGS = takes_settings  # type: ignore[attr-defined] # (a module made for the test)
        module.execute = execute  # type: ignore[attr-defined] # (likewise)
        module.add_arguments = lambda parser: parser.add_argument(  # type: ignore[attr-defined] # (likewise)
            "--pause", type=argument_type(DURATION), default="1s", help="how long to wait"
        )
        monkeypatch.setitem(sys.modules, "kuma_sd.cli.commands.run", module)

    return replace


def raising(error: BaseException) -> Execute:
    def execute(_arguments: argparse.Namespace, _settings: Settings | None) -> int:
        raise error

    return execute


def test_a_command_gets_its_flags_and_the_settings(replace: Replace) -> None:
    seen: list[Any] = []

    def execute(arguments: argparse.Namespace, settings: Settings | None) -> int:
        seen.extend([arguments.pause, settings and settings.core.min_interval])
        return 7

    replace(execute)
    assert main(["run", "--pause", "2m", "--min-interval=3s"]) == 7
    assert seen == [120.0, 3.0]


def test_a_command_reads_its_settings_again(replace: Replace, tmp_path: Path) -> None:
    file = tmp_path / "kuma-sd.conf"
    file.write_text("[kuma-sd]\nmin-interval = 1s\n")
    seen: list[Any] = []

    def execute(arguments: argparse.Namespace, settings: Settings | None) -> int:
        file.write_text("[kuma-sd]\nmin-interval = 2s\n")
        again = arguments.reload()
        file.write_text("[kuma-sd]\nmin-interval = fast\n")
        with pytest.raises(ConfigError, match="'fast' is not a duration"):
            arguments.reload()
        assert settings is not None
        seen.extend([settings.core.min_interval, again.core.min_interval])
        return 0

    replace(execute)
    assert main(["run", "-c", str(file), "--pause=0"]) == 0
    assert seen == [1.0, 2.0]


def test_a_command_without_settings_gets_none(replace: Replace, capsys: pytest.CaptureFixture[str]) -> None:
    seen: list[Any] = []

    def execute(arguments: argparse.Namespace, settings: Settings | None) -> int:
        seen.append((arguments.pause, settings))
        return 0

    replace(execute, takes_settings=False)
    assert main(["run"]) == 0
    assert seen == [(1.0, None)]
    assert main(["run", "--min-interval=s3cr3t"]) == 2
    assert capsys.readouterr().err == "kuma-sd: unknown flag --min-interval\n"


@pytest.mark.parametrize(
    ("error", "status", "line"),
    [
        (ConfigError("x:1: is wrong"), 2, "kuma-sd: x:1: is wrong\n"),
        (PluginError("is broken"), 2, "kuma-sd: is broken\n"),
        (OutputError("cannot write"), 1, "kuma-sd: cannot write\n"),
        (OutputError("two\nlines \x1b[31m"), 1, "kuma-sd: two\\nlines \\u001b[31m\n"),
        (KeyboardInterrupt(), 130, ""),
        (SystemExit(3), 3, ""),
    ],
)
def test_an_error_is_one_line_and_a_status(
    replace: Replace, capsys: pytest.CaptureFixture[str], error: BaseException, status: int, line: str
) -> None:
    replace(raising(error))
    assert main(["run"]) == status
    assert capsys.readouterr() == ("", line)


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.EMFILE, "x"), "too many open files: "),
        (MemoryError(), "out of memory"),
        (RuntimeError("can't start new thread"), "too many threads: "),
    ],
)
def test_an_exhausted_resource_is_one_line_too(
    replace: Replace, capsys: pytest.CaptureFixture[str], error: Exception, said: str
) -> None:
    replace(raising(error))
    assert main(["run"]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"kuma-sd: {said}")
    assert err.count("\n") == 1


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", ["version", "plugins", "--help"])
def test_a_full_disk_behind_standard_output_is_one_line_and_a_status(command: str, unbuffered: str) -> None:
    with open("/dev/full", "wb") as full:  # noqa: PTH123 (a device)
        ended = subprocess.run(
            [sys.executable, "-m", "kuma_sd", command],
            check=False,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )
    assert ended.returncode == 1
    assert len(ended.stderr.splitlines()) == 1
    assert ended.stderr.startswith("kuma-sd: standard output cannot be written: ")


def test_an_unexpected_exception_keeps_its_traceback(replace: Replace) -> None:
    for error in (ZeroDivisionError("a mistake of ours"), BrokenPipeError("of a connection")):
        replace(raising(error))
        with pytest.raises(type(error)):
            main(["run"])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["rnu"], "unknown command 'rnu'; did you mean 'run'?"),
        (["xyz"], f"unknown command 'xyz'; there are {', '.join(COMMANDS)}"),
        (["--log-level", "debug", "run"], "the command comes first, as in: kuma-sd run --log-level …"),
        (["version", "--jsn"], "unknown flag --jsn"),
        (["version", "x"], "unexpected argument 'x'"),
        (["check", "--log-lvel=debug"], "unknown flag --log-lvel; did you mean --log-level?"),
        (["config", "--default"], "unknown flag --default; did you mean --defaults?"),
    ],
)
def test_a_mistake_on_the_command_line_is_one_line(
    capsys: pytest.CaptureFixture[str], words: list[str], message: str
) -> None:
    assert main(words) == 2
    assert capsys.readouterr() == ("", f"kuma-sd: {message}\n")


def test_a_flag_without_its_value_is_named_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "--log-level"]) == 2
    out, errors = capsys.readouterr()
    assert (out, errors.count("\n")) == ("", 1)
    assert errors.startswith("kuma-sd: ")
    assert "--log-level" in errors


def test_a_wrong_value_of_a_commands_own_flag_is_one_line(replace: Replace, capsys: pytest.CaptureFixture[str]) -> None:
    replace(raising(AssertionError("not reached")))
    assert main(["run", "--pause", "long"]) == 2
    reason = "'long' is not a duration like 500ms, 30s, 2m or 1h30m"
    assert capsys.readouterr().err == f"kuma-sd: argument --pause: {reason}\n"


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"], []])
def test_help_lists_all_commands(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert main(words) == (0 if words else 2)
    text = capsys.readouterr().out
    assert text.startswith("usage: kuma-sd COMMAND [options]\n")
    for command, summary in COMMANDS.items():
        assert f"  {command:<19}{summary}\n" in text


@pytest.mark.parametrize("words", [["run", "--help"], ["help", "run"], ["run", "-h", "--log-level=loud"]])
def test_help_of_a_command_says_everything_even_where_settings_are_wrong(
    replace: Replace, capsys: pytest.CaptureFixture[str], words: list[str]
) -> None:
    replace(raising(AssertionError("not reached")))
    assert main(words) == 0
    text = capsys.readouterr().out
    assert text.startswith("usage: kuma-sd run [options]\n\nDo as the test says.\n\nExample:\n  kuma-sd run 100%\n")
    for part in ("--pause", "--cp-address", "--name", "--file-sd-path", "KUMA_SD_FILE_SD_PATH", "--config FILE"):
        assert part in text


@pytest.mark.parametrize("command", ["check", "config", "plugins", "version"])
def test_every_command_has_help(capsys: pytest.CaptureFixture[str], command: str) -> None:
    assert main([command, "--help"]) == 0
    text = capsys.readouterr().out
    assert text.startswith(f"usage: kuma-sd {command} ")
    assert "Example" in text
    assert f"  kuma-sd {command}" in text


@pytest.mark.parametrize("words", [["version"], ["--version"]])
def test_version_is_printed(capsys: pytest.CaptureFixture[str], words: list[str]) -> None:
    assert main(words) == 0
    assert capsys.readouterr().out == f"kuma-sd {__version__}\n"


def test_warnings_are_logged_as_the_settings_say(
    replace: Replace, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    replace(lambda _arguments, _settings: 0)
    monkeypatch.setenv("KUMA_SD_NAM", "s3cr3t")
    assert main(["run", "--log-format=json"]) == 0
    line = json.loads(capsys.readouterr().err)
    assert (line["level"], line["logger"]) == ("warn", "kuma_sd.cli.main")
    assert line["msg"] == "unknown environment variable KUMA_SD_NAM; did you mean KUMA_SD_NAME?"
    assert main(["run", "--log-level=off"]) == 0
    assert capsys.readouterr().err == ""


def run(*words: str, program: str = "-m kuma_sd") -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *program.split(), *words], check=False, capture_output=True, text=True)


def test_the_module_is_the_program() -> None:
    done = run("version")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"kuma-sd {__version__}\n", "")
    done = run("rnu")
    assert (done.returncode, done.stderr) == (2, "kuma-sd: unknown command 'rnu'; did you mean 'run'?\n")


def test_the_console_scripts_are_there() -> None:
    scripts = {
        entry_point.name: entry_point
        for entry_point in entry_points(group="console_scripts", module="kuma_sd.__main__")
    }
    assert scripts["kuma-sd"].load() is kuma_sd.__main__.kuma_sd
    assert scripts["kuma-prometheus-sd"].load() is kuma_sd.__main__.kuma_prometheus_sd


@pytest.mark.parametrize("words", ["config --defaults", "run --help"])
def test_a_reader_that_goes_away_is_no_error(words: str) -> None:
    with subprocess.Popen(
        [sys.executable, "-m", "kuma_sd", *words.split()], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


@pytest.mark.parametrize("words", [["version"], ["config", "--log-level=off"]])
def test_neither_grpc_nor_protobuf_nor_an_unused_plugin_is_loaded(words: list[str]) -> None:
    program = f"import sys, kuma_sd.cli.main; kuma_sd.cli.main.main({words}); print(); print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    modules = loaded.stdout.splitlines()[-1].split()
    assert [
        module for module in modules if module.startswith(("grpc", "google.protobuf", "watchdog", "kuma_sd.simulator"))
    ] == []
    assert ("kuma_sd_bundled.file_sd" in modules) == (words[0] == "config")
    assert ("configargparse" in modules) == (words[0] == "config")


# Each was loaded before it was looked at closely, and took from 1 to 30 per cent of the time.
SLOW_AND_NOT_NEEDED = {
    "version": {
        "base64",
        "dataclasses",
        "datetime",
        "difflib",
        "importlib.metadata",
        "json",
        "kuma_sd.api",
        "kuma_sd.plugin.manager",
        "kuma_sd.system.log_format",
        "logging",
        "msgspec",
        "pluggy",
        "shlex",
        "signal",
        "urllib.parse",
    },
    "check": {
        "_hashlib",
        "difflib",
        "email.parser",
        "http",
        "kuma_sd.http.client",
        "kuma_sd.mads.negotiation",
        "kuma_sd.mads.replicas",
        "kuma_sd.prometheus.matchers",
        "kuma_sd.service.process",
        "kuma_sd.system.log_writer",
        "kuma_sd.telemetry.output_status",
        "kuma_sd.web.application",
        "kuma_sd_bundled.labels",
        "prometheus_client",
        "re2",
        "signal",
        "ssl",
        "watchdog",
    },
}


@pytest.mark.parametrize("command", SLOW_AND_NOT_NEEDED)
def test_what_is_not_needed_does_not_delay_the_start(command: str, tmp_path: Path) -> None:
    file = tmp_path / "kuma-sd.conf"
    file.write_text(f"[kuma-sd]\noutput = file_sd\n[file_sd]\npath = {tmp_path}/targets.json\n")
    words = [command, f"--config={file}"][: 1 + (command == "check")]
    program = (
        "import sys; before = set(sys.modules); import kuma_sd.cli.main; "
        f"assert not kuma_sd.cli.main.main({words}); print(*sys.modules.keys() - before)"
    )
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert SLOW_AND_NOT_NEEDED[command].intersection(done.stdout.split()) == set()


def test_a_check_loads_and_defines_little() -> None:
    program = """if True:
        import sys, kuma_sd.cli.main
        assert not kuma_sd.cli.main.main(["check", "--cp-address=http://127.0.0.1:1", "--log-level=off"])
        own = [module for name, module in sys.modules.items() if name.startswith("kuma_sd")]
        classes = {each for module in own for each in vars(module).values() if isinstance(each, type)}
        print(len(own), sum("__dataclass_params__" in vars(each) for each in classes))
    """
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    modules, dataclasses = map(int, done.stdout.splitlines()[-1].split())
    # What each costs at every start: a module 0.1 ms, a dataclass 0.5 ms.
    assert modules <= 140
    assert dataclasses <= 22


def test_a_settings_file_without_its_flag_is_recognised(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "my new.conf").touch()
    path = f"{tmp_path}/my new.conf"
    assert main(["check", path]) == 2
    assert capsys.readouterr().err == (
        f"kuma-sd: unexpected argument '{path}'; a settings file is given as -c '{path}'\n"
    )


def test_a_missing_argument_leads_to_the_help_that_explains_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain"]) == 2
    assert capsys.readouterr().err == (
        "kuma-sd: the following arguments are required: SELECTOR; see kuma-sd explain --help\n"
    )
