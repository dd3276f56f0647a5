"""The process around the daemon, as a process: signals, streams, files that are none, and what a reload honours."""

import contextlib
import fcntl
import os
import resource
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon_process import kuma_sd
from processes import Process
from published_names import names
from serving import get
from waiting import PATIENCE, eventually

from kuma_sd.simulator import Dataplane, SimulatedControlPlane, World


class Settings:
    """A settings file of a daemon that keeps everything in one directory and publishes to ``targets.json`` there."""

    def __init__(self, directory: Path, kuma: SimulatedControlPlane[World]) -> None:
        self.directory = directory
        self.path = directory / "kuma-sd.conf"
        self.targets = directory / "targets.json"
        self.core = {
            "cp-address": kuma.url,
            "state-dir": str(directory / "state"),
            "control-socket": str(directory / "control.sock"),
        }
        self.listen_address = ""
        self.edit()

    def edit(self, **core: str) -> None:
        self.core.update({name.replace("_", "-"): value for name, value in core.items()})
        lines = ["[kuma-sd]", *(f"{name} = {value}" for name, value in self.core.items())]
        lines += ["[web]", f"listen-address = {self.listen_address}", "[file_sd]", f"path = {self.targets}", ""]
        new = self.path.with_suffix(".new")
        new.write_text("\n".join(lines))
        new.replace(self.path)

    @property
    def command(self) -> list[str]:
        return [sys.executable, "-m", "kuma_sd", "run", "-c", str(self.path)]

    @contextlib.contextmanager
    def running(self, **environment: str) -> Iterator[Process]:
        daemon = Process(*self.command, **environment)
        try:
            yield daemon
        finally:
            daemon.kill()


@pytest.fixture
def settings(tmp_path: Path, kuma: SimulatedControlPlane[World]) -> Settings:
    return Settings(tmp_path, kuma)


def test_a_storm_of_signals_keeps_neither_the_watchdog_nor_the_health_check_waiting(
    settings: Settings, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings.listen_address = f"127.0.0.1:{port}"
    settings.edit()
    beats: list[bytes] = []
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(str(tmp_path / "notify"))
        with settings.running(NOTIFY_SOCKET=str(tmp_path / "notify"), WATCHDOG_USEC="400000") as daemon:
            daemon.wait_for_line("published")
            systemd.settimeout(PATIENCE)
            while not systemd.recv(4096).startswith(b"WATCHDOG"):
                pass
            quiet = threading.Event()

            def storm() -> None:
                while not quiet.wait(0.001):
                    daemon.signal(signal.SIGHUP)

            thread = threading.Thread(target=storm)
            thread.start()
            try:
                until = time.monotonic() + 3
                while time.monotonic() < until:
                    beats.append(systemd.recv(4096))
                assert b"200" in get(("127.0.0.1", port), "/-/healthy").splitlines()[0]
            finally:
                quiet.set()
                thread.join()
            # Every 0.2 s, if nothing is in the way.
            assert sum(beat.startswith(b"WATCHDOG") for beat in beats) > 5
            assert daemon.stop() < 2.0


def test_a_pipe_as_settings_file_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "kuma-sd.conf")
    with kuma_sd("check", "-c", tmp_path / "kuma-sd.conf") as check:
        assert check.wait(10) == 2
    assert "cannot read the settings file" in check.output


def test_settings_that_become_a_pipe_hang_nothing(settings: Settings) -> None:
    with settings.running() as daemon:
        daemon.wait_for_line("published")
        settings.path.unlink()
        os.mkfifo(settings.path)
        daemon.signal(signal.SIGHUP)
        daemon.wait_for_line("the settings were not reloaded, the old ones stay")
        assert daemon.stop() < 1.0


def test_settings_that_become_a_file_without_an_end_change_nothing(settings: Settings) -> None:
    with settings.running() as daemon:
        daemon.wait_for_line("published")
        os.truncate(settings.path, 2**40)
        daemon.wait_for_line("cannot read the settings file")
        assert "Larger than 16 MiB" in daemon.output
        assert daemon.stop() < 1.0


def test_closed_standard_streams_do_not_keep_it_from_publishing(settings: Settings) -> None:
    command = ["sh", "-c", 'exec "$@" 0<&- 1>&- 2>&-', "sh", *settings.command]
    with subprocess.Popen(command) as daemon:
        try:
            eventually(lambda: names(settings.targets) == ["a", "b"], "it publishes")
        finally:
            daemon.terminate()
        assert daemon.wait(PATIENCE) == 0


def test_a_log_that_nobody_reads_keeps_it_neither_from_publishing_nor_from_ending(
    settings: Settings, kuma: SimulatedControlPlane[World]
) -> None:
    reading, writing = os.pipe()
    fcntl.fcntl(writing, fcntl.F_SETFL, os.O_NONBLOCK)
    try:
        while True:
            os.write(writing, b"x" * 4096)
    except BlockingIOError:
        fcntl.fcntl(writing, fcntl.F_SETFL, 0)
    with subprocess.Popen(settings.command, stderr=writing) as daemon:
        os.close(writing)
        try:
            eventually(lambda: names(settings.targets) == ["a", "b"], "it publishes")
            kuma.world.add(Dataplane("c"))
            eventually(lambda: names(settings.targets) == ["a", "b", "c"], "it goes on")
        finally:
            daemon.terminate()
            started = time.monotonic()
        assert daemon.wait(PATIENCE) == 0
        assert time.monotonic() - started < 3.0
    os.close(reading)


EDITS = """
import os
from kuma_sd import hookimpl

if os.path.exists({later!r}):
    os.rename({later!r}, {path!r})

@hookimpl
def kuma_sd_reloaded(): pass
"""
"""A plugin file that edits the settings: it runs once they were read, and before their files are watched."""


def test_an_edit_while_it_starts_is_honoured(settings: Settings) -> None:
    plugin, later = settings.directory / "edits.py", settings.directory / "later.conf"
    settings.edit(plugin_file=str(plugin), min_interval="2s")
    settings.path.rename(later)
    settings.edit(min_interval="1s")
    plugin.write_text(EDITS.format(later=str(later), path=str(settings.path)))
    plugin.chmod(0o644)
    with settings.running() as daemon:
        daemon.wait_for_line("reloaded the settings")
    assert not later.exists()


def test_how_it_logs_and_where_its_control_socket_is_follow_a_reload(settings: Settings) -> None:
    moved = settings.directory / "moved.sock"
    with settings.running() as daemon:
        daemon.wait_for_line("published")
        settings.edit(log_format="json", control_socket=str(moved))
        eventually(moved.exists, "the control socket moves")
        with kuma_sd("status", KUMA_SD_CONTROL_SOCKET=str(moved)) as status:
            assert status.wait() == 0
        settings.edit(min_interval="2s")
        daemon.wait_for_line('"msg": "reloaded the settings"')
        assert daemon.stop() < 1.0


@pytest.mark.parametrize(("setting", "value"), [("state-dir", "/nowhere/else")])
def test_what_only_a_start_can_honour_is_said(settings: Settings, setting: str, value: str) -> None:
    with settings.running() as daemon:
        daemon.wait_for_line("published")
        before = settings.core[setting]
        settings.edit(**{setting: value})
        assert f"setting={setting}" in daemon.wait_for_line("needs a restart")
        settings.edit(**{setting: before})
        daemon.wait_for_line("reloaded the settings")
        settings.edit(min_interval="2s")
        daemon.wait_for_line("reloaded the settings")
        assert daemon.output.count("needs a restart") == 1, "it is what the daemon started with"


def test_a_listener_that_goes_from_one_address_to_all_takes_no_other_change_with_it(settings: Settings) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    settings.listen_address = f"127.0.0.1:{port}"
    settings.edit()
    with settings.running() as daemon:
        daemon.wait_for_line("published")
        settings.listen_address = f":{port}"
        settings.edit(log_format="json")
        daemon.wait_for_line('stopped listening" address=127.0.0.1')
        settings.edit(min_interval="2s")
        daemon.wait_for_line('"msg": "reloaded the settings"')
        assert b"200" in get(("127.0.0.1", port), "/-/healthy").splitlines()[0]


def test_it_survives_that_no_descriptor_is_left_and_goes_on_when_there_is(
    settings: Settings, kuma: SimulatedControlPlane[World]
) -> None:
    kuma.close()
    with settings.running() as daemon:
        daemon.wait_for_line("trying again")
        highest = max(int(entry.name) for entry in Path(f"/proc/{daemon.pid}/fd").iterdir())
        limit = resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE)
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, (highest + 1, limit[1]))
        kuma.start()
        with pytest.raises(subprocess.TimeoutExpired):
            daemon.wait(3)
        resource.prlimit(daemon.pid, resource.RLIMIT_NOFILE, limit)
        eventually(lambda: names(settings.targets) == ["a", "b"], "it publishes")
        assert daemon.stop() < 1.0
