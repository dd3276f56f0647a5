"""No secret is in anything that a daemon shows, logs or leaves, whichever of its options hold one."""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from daemon_process import kuma_sd
from redis_server import free_port
from secret_options import FILES, MARK, OPTIONS, Tried, assert_clean
from waiting import eventually

from kuma_sd.core.option_types import SECRET_FILE
from kuma_sd.testing import control_plane


@contextlib.contextmanager
def rude_server() -> Iterator[str]:
    """Answer everything with what it was sent, as nobody should."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = server.accept()
                    with client:
                        said = client.recv(2**16)
                        client.sendall(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: %d\r\n\r\n" % len(said) + said)

        threading.Thread(target=serve, daemon=True).start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
        server.shutdown(socket.SHUT_RDWR)


PATHS = ["/metrics", "/api/status", "/", "/targets", "/explain?selector=a", "/-/received", "/-/published", "/none"]
PATHS += ["/-/healthy", "/-/ready", "/-/explain?selector=a", "/sd"]


OUR_OWN = {"KUMA_SD_STATE_DIR": "", "KUMA_SD_CONTROL_SOCKET": ""}
"""So that what the settings file says counts."""


def fetched(port: int) -> str:
    """Return all that the daemon shows on its listener."""
    texts = []
    for path in PATHS:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=10) as answer:
                texts.append(answer.read().decode(errors="replace"))
        except urllib.error.HTTPError as error:
            texts.append(error.read().decode(errors="replace"))
    return "\n".join(texts)


def files_under(path: Path) -> str:
    """Return the names and contents of all files that a daemon left."""
    files = [file for file in path.rglob("*") if file.is_file()]
    return "\n".join(f"{file} {file.read_bytes().decode('latin-1')}" for file in files)


@pytest.mark.parametrize("scheme", ["http", "grpc"])
@pytest.mark.parametrize("level", ["debug", "info"])
def test_a_running_daemon_shows_no_secret_anywhere(scheme: str, level: str, tmp_path: Path) -> None:
    secret = f"pa@/?#: \"'\\+%s3cr3t{MARK}"
    escaped, port = quote(secret, safe=""), free_port()
    (tmp_path / "token").write_text(f"t0k3n{MARK}\n")
    with control_plane("a", "b") as kuma, rude_server() as rude:
        authority = kuma.url.partition("//")[2]
        (tmp_path / "kuma-sd.conf").write_text(
            f"[kuma-sd]\n"
            f"cp-address =\n"
            f"  good={scheme}://user:{escaped}@{authority}\n"
            f"  rude=http://user:{escaped}@{rude}\n"
            f"  down={scheme}://{escaped}@127.0.0.1:1\n"
            f"  secured=https://user:{escaped}@{authority}\n"
            f"  proxied=http://127.0.0.1:1\n"
            f"  token=http://{rude}/x\n"
            f"header =\n  X-Secret: {MARK} with a blank\n  Authorization: Bearer {MARK}\n"
            f"state-dir = {tmp_path}/state\ncontrol-socket = {tmp_path}/socket\nlog-level = {level}\n"
            f"start-wait = 1s\n"
            f"[proxied]\nproxy = http://user:{escaped}@{rude}\n"
            f"[token]\nbearer-token-file = {tmp_path}/token\n"
            f"[rude]\nbasic-auth-username = me\nbasic-auth-password = {secret}\n"
            f"[file_sd]\npath = {tmp_path}/published/targets.json\n"
        )
        environment = OUR_OWN | {"KUMA_SD_WEB_LISTEN_ADDRESS": f"127.0.0.1:{port}"}
        with kuma_sd("run", "-c", tmp_path / "kuma-sd.conf", **environment) as daemon:
            daemon.wait_for_line("published")
            eventually(lambda: "down" in fetched(port), "the status names the control plane that is down")
            shown = fetched(port)
            for command in ("status", "config", "check", "explain"):
                words = [command, "-c", str(tmp_path / "kuma-sd.conf"), *(["--all"] if command == "explain" else [])]
                done = subprocess.run(
                    [sys.executable, "-m", "kuma_sd", *words],
                    capture_output=True,
                    text=True,
                    check=False,
                    env=clean_environment(),
                )
                shown += done.stdout + done.stderr
            daemon.stop()
        shown += daemon.output
    assert_clean(shown, "the daemon")
    assert_clean(files_under(tmp_path / "state") + files_under(tmp_path / "published"), "what it left")


def usable(tried: Tried, rude: str, token: Path) -> str:
    """Return lines with which an option holds a secret, so that it is used."""
    name, secret = tried.option.name, f"s3cr3t-{MARK}"
    if tried.option.type is SECRET_FILE:
        value = str(token)
    elif tried.option.type.may_hold_secret:
        scheme = (tried.option.default and tried.option.default.scheme) or "http"
        value = f"{scheme}://user:{secret}@{rude}"
    else:
        value = f"X-Secret: {secret}" if tried.option.type.repeated else secret
    user = f"{name.replace('password', 'username')} = me\n" if name.endswith("auth-password") else ""
    return f"{user}{name} = {value}\n"


COMMANDS = ("status", "config", "check", "plugins", "prometheus-config", "explain --all", "diff", "explain a")


# As many control planes as there are such options.
@pytest.mark.timeout(300)
def test_no_option_that_there_is_is_shown_by_a_running_daemon(tmp_path: Path) -> None:
    port, token, path = free_port(), tmp_path / "token", tmp_path / "kuma-sd.conf"
    token.write_text(f"t0k3n-{MARK}\n")
    # A key that is none would end the daemon; what is shown of it is tried with check.
    options = [*OPTIONS, *(tried for tried in FILES if "key" not in tried.option.name)]
    with control_plane("a") as kuma, rude_server() as rude:
        named = {f"tried-{number}": tried for number, tried in enumerate(options)}
        of = {
            kind: {name: tried for name, tried in named.items() if tried.kind == kind}
            for kind in ("source", "transform", "output")
        }
        addresses = [f"{name}={tried.plugin}://user:s3cr3t-{MARK}@{rude}" for name, tried in of["source"].items()]
        lines = ["[kuma-sd]", "cp-address =", *(f"  {address}" for address in (f"good={kuma.url}", *addresses))]
        outputs = [f"{name}={tried.plugin}" for name, tried in of["output"].items()]
        lines += [f"output = file_sd http_sd {' '.join(outputs)}"]
        lines += [f"transform = {' '.join(f'{name}={tried.plugin}' for name, tried in of['transform'].items())}"]
        lines += [f"state-dir = {tmp_path}/state", f"control-socket = {tmp_path}/socket", "log-level = debug"]
        lines += ["start-wait = 1s", f"[file_sd]\npath = {tmp_path}/published/targets.json"]
        lines += [f"[{name}]\n{usable(tried, rude, token)}" for name, tried in named.items()]
        path.write_text("\n".join(lines))
        with kuma_sd("run", "-c", path, **OUR_OWN, KUMA_SD_WEB_LISTEN_ADDRESS=f"127.0.0.1:{port}") as daemon:
            daemon.wait_for_line("published")
            last = list(of["source"])[-1]
            eventually(lambda: last in fetched(port), "the status names the last control plane")
            shown = fetched(port)
            for command in COMMANDS:
                flags = [] if command == "plugins" else ["-c", str(path)]
                program = [sys.executable, "-m", "kuma_sd", *command.split(), *flags]
                done = subprocess.run(program, capture_output=True, text=True, check=False, env=clean_environment())
                shown += done.stdout + done.stderr
            daemon.stop()
        shown += daemon.output
    for tried in options:
        assert tried.option.name in shown, "config shows that it was set"
    assert_clean(shown, "the daemon")
    assert_clean(files_under(tmp_path / "state") + files_under(tmp_path / "published"), "what it left")


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("KUMA_")}
