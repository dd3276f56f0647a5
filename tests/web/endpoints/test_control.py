"""The control socket, with a real server and real clients."""

import contextlib
import errno
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from os_reasons import NOT_A_DIRECTORY, PERMISSION_DENIED
from swapping import Swapped, needs_root, swapped_at_each_call
from waiting import eventually

from kuma_sd import KumaSDError
from kuma_sd.system.threads import Threads
from kuma_sd.web import client
from kuma_sd.web.application import Application, Request, Response
from kuma_sd.web.client import DaemonError, ask
from kuma_sd.web.server import control_socket
from kuma_sd.web.server.control_socket import ControlSocket

Serving = Callable[[Path], Threads]


def hello(request: Request) -> Response:
    return Response.lines(f"hello {request.query.get('name')}, {len(request.body)} bytes")


@pytest.fixture
def application() -> Application:
    application = Application()
    application.add("POST", "/hello", hello, query=["name"])
    application.add("GET", "/large", lambda _request: Response(b"x" * 10_000_000))
    return application


@pytest.fixture
def serving(application: Application) -> Iterator[Serving]:
    running: list[Threads] = []

    def begin(path: Path) -> Threads:
        threads = Threads()
        running.append(threads)
        control = ControlSocket(path, application)
        control.start()
        threads.start("control socket", control)
        return threads

    yield begin
    for threads in running:
        assert threads.stop(timeout=5) == []
        assert threads.failure is None


def test_a_request_is_answered(tmp_path: Path, serving: Serving) -> None:
    serving(tmp_path / "control.sock")
    assert ask(tmp_path / "control.sock", "POST", "/hello?name=you") == (200, "hello you, 0 bytes\n")
    assert ask(tmp_path / "control.sock", "GET", "/hello")[0] == 405


def test_a_large_answer_arrives_whole(tmp_path: Path, serving: Serving) -> None:
    serving(tmp_path / "control.sock")
    assert len(ask(tmp_path / "control.sock", "GET", "/large")[1]) == 10_000_000


def test_many_requests_at_once_are_all_answered(tmp_path: Path, serving: Serving) -> None:
    serving(tmp_path / "control.sock")
    with ThreadPoolExecutor(20) as pool:
        answers = pool.map(lambda number: ask(tmp_path / "control.sock", "POST", f"/hello?name={number}"), range(100))
    assert list(answers) == [(200, f"hello {number}, 0 bytes\n") for number in range(100)]


@contextlib.contextmanager
def bound_at(path: Path) -> Iterator[socket.socket]:
    """Put the socket of somebody else at a path, which stays there."""
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(path))
        yield bound


def test_only_its_owner_may_use_it(tmp_path: Path, serving: Serving) -> None:
    path = tmp_path / "run/kuma-sd/control.sock"
    serving(path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_clients_that_send_nothing_keep_nobody_out(tmp_path: Path, serving: Serving) -> None:
    path = tmp_path / "control.sock"
    serving(path)
    with contextlib.ExitStack() as stack:
        for _ in range(3 * control_socket.LIMITS.connections):
            silent = stack.enter_context(socket.socket(socket.AF_UNIX))
            silent.connect(str(path))
        assert ask(path, "POST", "/hello?name=you")[0] == 200


def test_a_client_waits_while_the_queue_of_connections_is_full(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with (
        socket.socket(socket.AF_UNIX) as listening,
        socket.socket(socket.AF_UNIX) as first,
        ThreadPoolExecutor(1) as pool,
    ):
        listening.bind(str(path))
        listening.listen(0)
        first.connect(str(path))
        asking = pool.submit(ask, path, "GET", "/hello")
        with pytest.raises(TimeoutError):
            asking.result(timeout=0.2)
        listening.accept()[0].close()
        answering, _ = listening.accept()
        with answering:
            assert answering.recv(4096).startswith(b"GET /hello")
            answering.sendall(b"HTTP/1.0 200 OK\r\n\r\nhello")
        assert asking.result(timeout=5) == (200, "hello")


def test_a_client_gives_up_when_the_queue_stays_full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "TIMEOUT", 1.0)
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as listening, socket.socket(socket.AF_UNIX) as first:
        listening.bind(str(path))
        listening.listen(0)
        first.connect(str(path))
        with pytest.raises(KumaSDError, match=r"does not answer: too many others are connected; gave up after 1 s"):
            ask(path, "GET", "/hello")


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_other_users_cannot_even_connect(serving: Serving) -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "control.sock"
        path.parent.chmod(0o755)
        serving(path)
        code = f"""
import os, socket
os.setegid(65534), os.seteuid(65534)
socket.socket(socket.AF_UNIX).connect({str(path)!r})
"""
        done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
    assert "PermissionError" in done.stderr


def test_it_is_gone_after_closing_and_that_is_quick(tmp_path: Path, serving: Serving) -> None:
    path = tmp_path / "control.sock"
    threads = serving(path)
    ask(path, "POST", "/hello")
    with socket.socket(socket.AF_UNIX) as idle:
        idle.connect(str(path))
        begun = time.perf_counter()
        assert threads.stop(timeout=5) == []
        assert time.perf_counter() - begun < 0.4, "0.1 s when nothing else runs"
    assert list(tmp_path.iterdir()) == []


def test_a_client_that_is_half_way_through_does_not_hold_up_closing(tmp_path: Path, serving: Serving) -> None:
    path = tmp_path / "control.sock"
    threads = serving(path)
    with socket.socket(socket.AF_UNIX) as slow, socket.socket(socket.AF_UNIX) as slower:
        slow.connect(str(path))
        slow.sendall(b"POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nhalf")
        slower.connect(str(path))
        slower.sendall(b"PO")
        begun = time.perf_counter()
        assert threads.stop(timeout=5) == []
        assert time.perf_counter() - begun < 0.4


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"POST /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n", b"413"),
        (b"POST /hello HTTP/1.1\r\nHost: x\r\nA: " + b"b" * 100_000 + b"\r\n\r\n", b"431"),
        (b"POST /" + b"b" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", b"414"),
        (b"\x16\x03\x01 nonsense\r\n\r\n", b"400"),
    ],
)
def test_what_is_too_large_or_no_http_is_refused(
    tmp_path: Path, serving: Serving, request_: bytes, status: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "control.sock"
    serving(path)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(5)
        connection.connect(str(path))
        connection.sendall(request_)
        assert connection.recv(1000).split()[1] == status
    assert ask(path, "POST", "/hello")[0] == 200
    assert "Traceback" not in caplog.text


def test_the_socket_of_a_dead_process_is_replaced(
    tmp_path: Path, serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "control.sock"
    with bound_at(path):
        pass
    serving(path)
    assert ask(path, "POST", "/hello")[0] == 200
    assert caplog.text == ""


def test_the_socket_of_a_live_daemon_is_left_alone(
    tmp_path: Path, serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "control.sock"
    serving(path)
    second = serving(path)
    assert f"another kuma-sd listens at the control socket '{path}'" in caplog.text
    assert second.stop(timeout=5) == []
    assert ask(path, "POST", "/hello")[0] == 200
    assert caplog.text.count("\n") == 1


def test_a_daemon_that_is_too_busy_to_answer_is_alive(
    tmp_path: Path, serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "control.sock"
    with socket.socket(socket.AF_UNIX) as busy, socket.socket(socket.AF_UNIX) as waiting:
        busy.bind(str(path))
        busy.listen(0)
        waiting.connect(str(path))
        serving(path)
    assert "another kuma-sd listens" in caplog.text


def test_closing_leaves_the_socket_of_a_successor_alone(tmp_path: Path, serving: Serving) -> None:
    path = tmp_path / "control.sock"
    first = serving(path)
    path.unlink()
    serving(path)
    assert first.stop(timeout=5) == []
    assert ask(path, "POST", "/hello")[0] == 200


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("file", "what is at '{path}' is no socket of kuma-sd, and belongs to uid"),
        ("file/control.sock", f'path={{path}} reason="{NOT_A_DIRECTORY}"'),
        ("x" * 200, "longer than the 107 bytes that a unix socket can have: '{path}'; set control-socket to a shorter"),
    ],
)
def test_a_path_that_will_not_do_is_said_once_and_the_daemon_goes_on(
    tmp_path: Path, serving: Serving, name: str, reason: str, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("precious")
    threads = serving(tmp_path / name)
    assert threads.stop(timeout=5) == []
    assert reason.format(path=tmp_path / name) in caplog.text
    assert caplog.text.count("\n") == 1
    assert (tmp_path / "file").read_text() == "precious"


@needs_root
def test_a_socket_of_another_user_stays_and_is_said_with_what_to_do(
    tmp_path: Path, serving: Serving, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "control.sock"
    with bound_at(path) as theirs:
        theirs.listen()
        os.chown(path, 65534, 65534)
        threads = serving(path)
        assert threads.stop(timeout=5) == []
    assert f"what is at '{path}' is no socket of kuma-sd, and belongs to uid 65534; remove it, or set" in caplog.text
    assert path.is_socket()


@needs_root
def test_no_socket_is_made_behind_a_link_that_a_stranger_puts_into_the_path_at_any_moment(tmp_path: Path) -> None:
    def listen(place: Swapped) -> None:
        control = ControlSocket(place.path / "control.sock", lambda _environment, _start: [])
        control.close()
        control.start()
        control.run()

    for place in swapped_at_each_call(tmp_path, listen):
        assert list(place.foreign.iterdir()) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become others")
def test_a_directory_of_another_user_is_not_used() -> None:
    program = """
import os, sys
from pathlib import Path
from kuma_sd.web.application import Application
from kuma_sd.web.server import control_socket
from kuma_sd.web.server.control_socket import ControlSocket
os.seteuid(54321)
ControlSocket(Path(sys.argv[1]), Application()).start()
"""
    # Not in pytest's folder, into which nobody else may look.
    with tempfile.TemporaryDirectory() as theirs:
        Path(theirs).chmod(0o777)
        os.chown(theirs, 12345, 12345)
        path = Path(theirs) / "control.sock"
        done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    assert f"the directory of the control socket '{path}' belongs to another user" in done.stderr


def test_an_open_umask_makes_no_directory_that_others_may_write(tmp_path: Path, serving: Serving) -> None:
    before = os.umask(0)
    try:
        serving(tmp_path / "new" / "run" / "control.sock")
    finally:
        os.umask(before)
    for path, mode in (("new", 0o755), ("new/run", 0o755), ("new/run/control.sock", 0o600)):
        assert stat.S_IMODE((tmp_path / path).stat().st_mode) == mode


def test_a_socket_that_was_swept_away_is_made_again(
    tmp_path: Path, serving: Serving, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control_socket, "LOOK_SECONDS", 0.05)
    path = tmp_path / "run" / "control.sock"
    serving(path)
    shutil.rmtree(path.parent)
    eventually(path.exists, "the socket is back")
    assert ask(path, "POST", "/hello")[0] == 200


def test_what_is_in_the_way_is_waited_for(
    tmp_path: Path, serving: Serving, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(control_socket, "LOOK_SECONDS", 0.05)
    path = tmp_path / "control.sock"
    path.touch()
    with caplog.at_level("INFO"):
        serving(path)
        path.unlink()
        eventually(lambda: "listening at the control socket again" in caplog.text, "it is said")
    assert ask(path, "POST", "/hello")[0] == 200


def test_it_moves_at_a_reload(tmp_path: Path, application: Application) -> None:
    threads, control = Threads(), ControlSocket(tmp_path / "old.sock", application)
    control.start()
    threads.start("control socket", control)
    control.move(tmp_path / "new.sock")
    eventually((tmp_path / "new.sock").exists, "the new socket is there")
    assert ask(tmp_path / "new.sock", "POST", "/hello")[0] == 200
    assert not (tmp_path / "old.sock").exists()
    assert threads.stop(timeout=5) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become others")
def test_a_socket_of_a_stranger_is_not_believed() -> None:
    program = """
import os, sys
from pathlib import Path
from kuma_sd.settings.default_control_socket import default_control_socket
from kuma_sd.web.client import ask
os.seteuid(54321)
ask(Path(sys.argv[1]), "GET", "/")
"""
    # Not in pytest's folder, into which nobody else may look.
    with tempfile.TemporaryDirectory() as theirs, socket.socket(socket.AF_UNIX) as listening:
        Path(theirs).chmod(0o755)
        path = Path(theirs) / "control.sock"
        listening.bind(str(path))
        path.chmod(0o777)
        # Who called listen() is who is at the other end.
        os.seteuid(12345)
        listening.listen()
        os.seteuid(0)
        done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=False)
    assert "is another user (uid 12345), and no daemon of yours" in done.stderr


@pytest.mark.skipif(os.geteuid() != 0, reason="giving files to others needs root")
def test_a_link_of_a_stranger_to_the_socket_of_another_daemon_of_ours_is_not_followed(
    tmp_path: Path, serving: Serving
) -> None:
    path, link = tmp_path / "other.sock", tmp_path / "control.sock"
    serving(path)
    link.symlink_to(path)
    assert ask(link, "POST", "/hello")[0] == 200
    os.chown(link, 12345, 12345, follow_symlinks=False)
    with pytest.raises(DaemonError, match=rf"'{link}' is a symbolic link that belongs to another user \(uid 12345\)"):
        ask(link, "POST", "/hello")


def test_nobody_there_is_said(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    said = f"no daemon listens at '{path}'; start kuma-sd, or set control-socket to where it listens"
    with pytest.raises(KumaSDError, match=said):
        ask(path, "POST", "/hello")
    with bound_at(path):
        pass
    with pytest.raises(KumaSDError, match=said):
        ask(path, "POST", "/hello")


def test_a_daemon_that_does_not_answer_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "TIMEOUT", 0.05)
    path = tmp_path / "control.sock"
    with bound_at(path) as frozen:
        frozen.listen()
        with pytest.raises(KumaSDError, match=f"the daemon at '{path}' does not answer: ."):
            ask(path, "POST", "/hello")


def test_an_answer_that_is_none_is_said(tmp_path: Path) -> None:
    path = tmp_path / "control.sock"
    with bound_at(path) as other:
        other.listen()

        def answer() -> None:
            connection, _ = other.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"SSH-2.0-OpenSSH\r\n")

        threading.Thread(target=answer, daemon=True).start()
        with pytest.raises(KumaSDError, match=f"the daemon at '{path}' does not answer: SSH"):
            ask(path, "POST", "/hello")


def test_a_socket_that_may_not_be_used_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_connection: object) -> None:
        raise PermissionError(errno.EACCES, PERMISSION_DENIED)  # root, as which tests may run, is never refused

    monkeypatch.setattr(client._Connection, "connect", refuse)
    with pytest.raises(KumaSDError, match="you may not use '/x'; try again as the user that kuma-sd runs as"):
        ask(Path("/x"), "POST", "/hello")


def test_a_path_that_is_too_long_is_said(tmp_path: Path) -> None:
    with pytest.raises(KumaSDError, match="longer than the 107 bytes"):
        ask(tmp_path / ("x" * 200), "POST", "/hello")


def test_asking_loads_no_server() -> None:
    program = "import sys, kuma_sd.cli.commands.accept, kuma_sd.web.endpoints.control; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True).stdout.split()
    assert [
        name for name in loaded if name.startswith(("kuma_sd.web.server", "grpc", "google.protobuf", "watchdog"))
    ] == []
