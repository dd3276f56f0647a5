"""A daemon that lacks files or threads ends with one line that names the limit to raise, and no traceback."""

import sys
from pathlib import Path

import pytest
from own_port import own_port
from processes import Process

NO_THREAD_AFTER = """
import threading
real, left = threading._start_new_thread, {number}
def start(*arguments):
    global left
    if not left:
        raise RuntimeError("can't start new thread")
    left -= 1
    return real(*arguments)
threading._start_new_thread = start
"""
"""What lets a program start so many threads and no more; Python loads it before the program."""

NO_FILE_AT_IMPORT = """
import os, resource, sys
def hook(event, arguments):
    if event == "import" and arguments[0] == {module!r}:
        resource.setrlimit(resource.RLIMIT_NOFILE, (40, 40))
        try:
            while True:
                os.dup(0)
        except OSError:
            pass
sys.addaudithook(hook)
"""
"""What lets a program use up its descriptors when it imports a module."""


def command(directory: Path) -> list[str]:
    address = f"http://127.0.0.1:{own_port()}"
    flags = [f"--cp-address={address}", "--web-listen-address=", f"--output-file={directory}/targets.json"]
    flags += [f"--state-dir={directory}/state", f"--control-socket={directory}/control.sock"]
    return [sys.executable, "-m", "kuma_sd", "run", *flags]


def says(process: Process, what: str) -> None:
    try:
        assert process.wait() == 1
    finally:
        process.kill()
    assert "Traceback" not in process.output
    assert process.lines[-1].startswith(f"kuma-sd: {what}")
    assert [line for line in process.lines if not line.startswith("time=")] == process.lines[-1:]


def test_too_few_descriptors_are_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text(NO_FILE_AT_IMPORT.format(module="kuma_sd.service.http_app"))
    process = Process(*command(tmp_path), PYTHONPATH=str(tmp_path))
    says(process, "too many open files: this process may have 40; raise the limit (ulimit -n")


def test_an_output_that_cannot_start_for_want_of_descriptors_says_so(tmp_path: Path) -> None:
    process = Process("sh", "-c", 'ulimit -n 6; exec "$@"', "sh", *command(tmp_path))
    says(process, "output file_sd: cannot write into the directory")
    assert "too many open files: this process may have 6; raise the limit (ulimit -n" in process.output


@pytest.mark.parametrize("number", range(7))
def test_whichever_thread_cannot_be_started_it_is_said_in_one_line(tmp_path: Path, number: int) -> None:
    (tmp_path / "sitecustomize.py").write_text(NO_THREAD_AFTER.format(number=number))
    says(Process(*command(tmp_path), PYTHONPATH=str(tmp_path)), "too many threads: this user may have ")
