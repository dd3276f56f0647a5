import os
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from kuma_sd.system.systemd import Notifier


@pytest.fixture(params=["file", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[socket.socket]:
    """A socket that takes what systemd's would."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as taking:
        taking.bind(f"{tmp_path}/notify" if request.param == "file" else f"\0kuma-sd-test-{os.getpid()}")
        taking.settimeout(5)
        yield taking


def notifier(systemd: socket.socket, **environment: str) -> Notifier:
    name = systemd.getsockname()
    address = name if isinstance(name, str) else f"@{name[1:].decode()}"
    return Notifier({"NOTIFY_SOCKET": address, **environment})


def taken(systemd: socket.socket) -> list[str]:
    return systemd.recv(4096).decode().split("\n")


def test_systemd_is_told_each_step_in_one_message(systemd: socket.socket) -> None:
    to = notifier(systemd)
    to.ready("20 targets")
    assert taken(systemd) == ["READY=1", "STATUS=20 targets"]
    to.status("21 targets")
    assert taken(systemd) == ["STATUS=21 targets"]
    to.alive()
    assert taken(systemd) == ["WATCHDOG=1"]
    to.stopping()
    assert taken(systemd) == ["STOPPING=1"]


def test_reloading_says_when_by_systemds_clock(systemd: socket.socket) -> None:
    before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    notifier(systemd).reloading()
    reloading, when = taken(systemd)
    name, _, microseconds = when.partition("=")
    assert (reloading, name) == ("RELOADING=1", "MONOTONIC_USEC")
    assert before <= int(microseconds) <= time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000


def test_a_status_cannot_say_anything_else(systemd: socket.socket) -> None:
    notifier(systemd).status("1 target\nMAINPID=1")
    assert taken(systemd) == ["STATUS=1 target\\nMAINPID=1"]


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}, {"NOTIFY_SOCKET": "vsock:2:1234"}])
def test_without_systemd_nothing_happens(environment: dict[str, str], caplog: pytest.LogCaptureFixture) -> None:
    to = Notifier({"WATCHDOG_USEC": "1000000", **environment})
    to.ready("")
    to.alive()
    assert to.watchdog_interval is None
    assert caplog.text == ""


def test_a_socket_that_is_gone_is_said_once_and_tried_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    to = Notifier({"NOTIFY_SOCKET": f"{tmp_path}/gone"})
    to.ready("")
    to.alive()
    assert caplog.text.count("cannot notify systemd of the daemon's state") == 1
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as back:
        back.bind(f"{tmp_path}/gone")
        to.alive()
        assert taken(back) == ["WATCHDOG=1"]


def test_a_systemd_that_takes_nothing_holds_nobody_up(
    systemd: socket.socket, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kuma_sd.system.systemd.SEND_TIMEOUT", 0.01)
    to = notifier(systemd)
    while not caplog.text:
        to.alive()
    assert caplog.text.count("cannot notify systemd of the daemon's state") == 1


@pytest.mark.parametrize(
    ("environment", "interval"),
    [
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": str(os.getpid())}, 30.0),
        ({"WATCHDOG_USEC": "3000000"}, 1.5),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_the_watchdog_is_fed_twice_as_often_as_it_asks(
    systemd: socket.socket, environment: dict[str, str], interval: float | None
) -> None:
    assert notifier(systemd, **environment).watchdog_interval == interval
