"""A running daemon serves the list, over HTTP and over its control socket, and keeps to its settings."""

import contextlib
import json
import re
import resource
import signal
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from daemon_process import kuma_sd
from os_reasons import ADDRESS_IN_USE
from processes import Process
from serving import Address, exchange, get
from waiting import eventually

from kuma_sd.simulator import Dataplane, SimulatedControlPlane, World
from kuma_sd.testing import control_plane
from kuma_sd.web.client import ask

OUTPUT = "--output=http_sd"
PAYMENTS = """
[payments]
path = /payments
transform = only=filter
[only]
match = mesh="payments"
"""
LISTEN = "--web-listen-address=127.0.0.1:0"


@pytest.fixture
def kuma() -> Iterator[SimulatedControlPlane[World]]:
    with control_plane(Dataplane("a"), Dataplane("b", mesh="payments")) as running:
        yield running


def listening(daemon: Process) -> Address:
    line = daemon.wait_for_line('msg="listening"')
    found = re.search(r"url=https?://127.0.0.1:([0-9]+)/", line)
    assert found, line
    return "127.0.0.1", int(found[1])


def names(answer: bytes) -> list[str]:
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200"), answer
    return [group["labels"]["dataplane"] for group in json.loads(body)]


def post(address: Address, path: str, *headers: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", "Connection: close", *headers, "", ""]
    return exchange(address, "\r\n".join(lines).encode())


def test_an_instance_that_does_not_know_what_it_served_before_a_start_serves_no_list_instead_of_an_empty_one(
    kuma: SimulatedControlPlane[World], tmp_path: Path
) -> None:
    config = tmp_path / "kuma-sd.conf"
    config.write_text(
        f"""
[kuma-sd]
cp-address = {kuma.url}
output = file_sd http_sd payments=http_sd
[file_sd]
path = {tmp_path / "targets.json"}
{PAYMENTS}"""
    )
    run = ("run", "-c", config, LISTEN, f"--control-socket={tmp_path / 'control.sock'}")
    with kuma_sd(*run) as daemon:
        daemon.wait_for_line('published" output=payments')
        daemon.stop()
    kuma.close()
    # Its state was deleted with it.
    with kuma_sd(*run) as daemon:
        address = listening(daemon)
        eventually(lambda: b" 200 " in get(address, "/sd"), "what is in the file is served without a filter")
        assert names(get(address, "/sd")) == ["a", "b"]
        assert get(address, "/payments").startswith(b"HTTP/1.1 503 ")
        kuma.start()
        daemon.wait_for_line('published" output=payments')
        assert names(get(address, "/payments")) == ["b"]


def test_several_instances_serve_what_their_transforms_let_through(
    kuma: SimulatedControlPlane[World], tmp_path: Path
) -> None:
    config = tmp_path / "kuma-sd.conf"
    config.write_text(
        f"""
[kuma-sd]
cp-address = {kuma.url}
output = http_sd payments=http_sd
{PAYMENTS}"""
    )
    control = tmp_path / "control.sock"
    with kuma_sd("run", "-c", config, LISTEN, f"--control-socket={control}") as daemon:
        address = listening(daemon)
        daemon.wait_for_line('published" output=payments')
        assert names(get(address, "/payments")) == ["b"]
        eventually(lambda: b" 200 " in get(address, "/sd"), "the other is published too")
        assert names(get(address, "/sd")) == ["a", "b"]
        assert ask(control, "GET", "/sd")[0] == 200
        assert b"there are /, " in get(address, "/nothing") or b"/payments, /sd" in get(address, "/nothing")
        kuma.world.add(Dataplane("c", mesh="payments"))
        eventually(lambda: names(get(address, "/payments")) == ["b", "c"], "a change arrives")
        assert daemon.stop() < 2


def test_before_the_first_list_and_after_a_restart(kuma: SimulatedControlPlane[World], tmp_path: Path) -> None:
    state = f"--state-dir={tmp_path}"
    with kuma_sd("run", "--cp-address=grpc://127.0.0.1:1", OUTPUT, LISTEN, state) as daemon:
        assert get(listening(daemon), "/sd").startswith(b"HTTP/1.1 503")
        daemon.stop()
    with kuma_sd("run", f"--cp-address=only={kuma.url}", OUTPUT, LISTEN, state) as daemon:
        daemon.wait_for_line('published" output=http_sd')
        daemon.stop()
    with kuma_sd("run", "--cp-address=only=grpc://127.0.0.1:1", OUTPUT, LISTEN, state) as daemon:
        address = listening(daemon)
        eventually(lambda: b" 200 " in get(address, "/sd"), "the last good list counts")
        assert names(get(address, "/sd")) == ["a", "b"]
        daemon.stop()


def test_what_changes_something_needs_the_setting_and_no_foreign_page(kuma: SimulatedControlPlane[World]) -> None:
    with kuma_sd("run", f"--cp-address={kuma.url}", OUTPUT, LISTEN) as daemon:
        address = listening(daemon)
        assert post(address, "/-/reload").startswith(b"HTTP/1.1 403")
        daemon.stop()
    with kuma_sd("run", f"--cp-address={kuma.url}", OUTPUT, LISTEN, "--web-enable-lifecycle") as daemon:
        address = listening(daemon)
        assert post(address, "/-/reload", "Origin: http://evil.example").startswith(b"HTTP/1.1 403")
        assert post(address, "/-/reload").startswith(b"HTTP/1.1 200")
        daemon.wait_for_line("the settings are unchanged")
        daemon.stop()


def test_more_connections_than_there_may_be_do_not_delay_the_file(
    kuma: SimulatedControlPlane[World], tmp_path: Path
) -> None:
    path = tmp_path / "targets.json"
    outputs = ("--output=file_sd", OUTPUT, f"--output-file={path}", "--min-interval=0")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(4096, hard), hard))
    try:
        with kuma_sd("run", f"--cp-address={kuma.url}", *outputs, LISTEN) as daemon, contextlib.ExitStack() as stack:
            address = listening(daemon)
            eventually(lambda: path.exists() and len(json.loads(path.read_bytes())) == 2, "the file is there")
            for number in range(1500):
                client = stack.enter_context(socket.create_connection(address, timeout=5))
                with contextlib.suppress(ConnectionError):
                    client.sendall((b"", b"GET / HT", b"GET /sd HTTP/1.1\r\nHost: localhost\r\n\r\n")[number % 3])
            begun = time.monotonic()
            kuma.world.add(Dataplane("c"))
            eventually(lambda: len(json.loads(path.read_bytes())) == 3, "a change arrives in the file")
            assert time.monotonic() - begun < 1
            assert len(list(Path(f"/proc/{daemon.pid}/fd").iterdir())) < 1100
            stack.close()
            eventually(lambda: b" 200 " in get(address, "/sd"), "others are answered again")
            assert daemon.stop() < 2
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_a_busy_port_is_one_clear_line_and_exit_1(kuma: SimulatedControlPlane[World]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as busy:
        address = f"127.0.0.1:{busy.getsockname()[1]}"
        with kuma_sd("run", f"--cp-address={kuma.url}", OUTPUT, f"--web-listen-address={address}") as daemon:
            assert daemon.wait() == 1
    reason = f"{ADDRESS_IN_USE}; set listen-address in [web] to another, or to nothing"
    assert daemon.lines == [f"kuma-sd: cannot listen on {address}: {reason}"]


@pytest.mark.parametrize("path", ["/", "/metrics", "/-/sd", "sd"])
def test_a_path_that_is_not_to_be_had_is_refused_at_start_and_by_check(path: str) -> None:
    for command in ("run", "check"):
        with kuma_sd(command, OUTPUT, f"--http-sd-path={path}") as daemon:
            assert daemon.wait() == 2
            assert len(daemon.lines) == 1
            assert path in daemon.output


def test_a_wrong_web_configuration_is_refused_at_start_and_by_check(tmp_path: Path) -> None:
    (tmp_path / "web.yml").write_text("basic_auth_users: {alice: s3cr3t}")
    for command in ("run", "check"):
        with kuma_sd(command, OUTPUT, f"--web-config-file={tmp_path}/web.yml") as daemon:
            assert daemon.wait() == 2
        reason = "the password of 'alice' is not hashed with bcrypt, as by: htpasswd -nBC 10 alice"
        assert daemon.lines == [f"kuma-sd: {tmp_path}/web.yml:1: {reason}"]


def test_a_reload_moves_the_listener_and_the_path(kuma: SimulatedControlPlane[World], tmp_path: Path) -> None:
    config = tmp_path / "kuma-sd.conf"

    def write(listen: str, path: str) -> None:
        config.write_text(
            f"[kuma-sd]\ncp-address = {kuma.url}\noutput = http_sd\n[http_sd]\npath = {path}\n"
            f"[web]\nlisten-address = {listen}\n"
        )

    write("127.0.0.1:0", "/sd")
    # Not as the others are started: the environment would beat the file.
    arguments = (f"--state-dir={tmp_path}/state", f"--control-socket={tmp_path}/control.sock")
    daemon = Process(sys.executable, "-m", "kuma_sd", "run", "-c", config, *arguments)
    with contextlib.ExitStack() as stack, socket.create_server(("127.0.0.1", 0)) as busy:
        stack.callback(daemon.kill)
        old = listening(daemon)
        daemon.wait_for_line('published" output=http_sd')
        write(f"127.0.0.1:{busy.getsockname()[1]}", "/other")
        daemon.signal(signal.SIGHUP)
        assert ADDRESS_IN_USE in daemon.wait_for_line("the old ones stay")
        assert names(get(old, "/sd")) == ["a", "b"]
        write("localhost:0", "/other")
        daemon.signal(signal.SIGHUP)
        new = listening(daemon)
        eventually(lambda: b" 200 " in get(new, "/other"), "the new path is served")
        assert names(get(new, "/other")) == ["a", "b"]
        assert get(new, "/sd").startswith(b"HTTP/1.1 404")
        daemon.wait_for_line('stopped listening" address=127.0.0.1:0')
        with pytest.raises(ConnectionRefusedError):
            get(old, "/sd")
        daemon.stop()
