"""No secret is in anything that is written anywhere: hostile values in every option and file, in every path of errors.

Which options there are is asked of the program, so that a new one is tried too.
"""

import contextlib
import os
import socket
import subprocess
import sys
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from processes import eventually, kuma_sd
from redis_server import free_port

from kuma_sd.cli.main import main
from kuma_sd.core.options import Option, options_of
from kuma_sd.plugin.manager import Plugins
from kuma_sd.settings.config_file import write_entry
from kuma_sd.testing import control_plane

MARK = "Qx7"
"""What every part of a hostile secret ends with, so that half of one is found, too."""

BETWEEN = ("", "%zz", *"@/?#:+%&= \\\"'[],;ü\t")

HOSTILE = [f"pa{odd}s3cr3t{MARK}" for odd in BETWEEN]
"""Passwords as people have them; whatever stands behind the odd character is the part that gets lost."""


class Tried(NamedTuple):
    """An option that may hold a secret, and the plugin that has it."""

    kind: str
    plugin: str
    option: Option


def secret_options() -> list[Tried]:
    """Return every such option there is, once for each plugin, whatever its schemes."""
    plugins = Plugins()
    kinds: dict[str, Callable[[str], Any]]
    kinds = {"source": plugins.source, "output": plugins.output, "transform": plugins.transform}
    found: dict[tuple[type, str], Tried] = {}
    for available in plugins.available():
        plugin = kinds[available.kind](available.name)
        for option in options_of(plugin.options):
            if option.type.secret or option.type.may_hold_secret:
                found.setdefault((plugin.options, option.name), Tried(available.kind, available.name, option))
    return list(found.values())


OPTIONS = secret_options()


def settings_with(tried: Tried, value: str) -> str:
    """Write settings in which one option has a value."""
    entry = write_entry(tried.option.name, value)
    if tried.kind == "source":
        return f"[kuma-sd]\ncp-address = {tried.plugin}://127.0.0.1:1\n{entry}\n"
    return f"[kuma-sd]\n{tried.kind} = tried={tried.plugin}\n[tried]\n{entry}\n"


def written_values(option: Option, secret: str) -> list[str]:
    """Return how people write a secret where this option takes one."""
    if not option.type.may_hold_secret:
        headers = [f"Authorization: Bearer {secret}", f"Authorization:{secret}", f"X-A: b\nno header {secret}"]
        return [secret, f"first\n{secret}", *headers]
    scheme = "redis" if option.default and option.default.scheme == "redis" else "http"
    places = (
        f"user:{secret}@host:1",
        f"{secret}@host:1",
        f"host:1{secret}".partition("@")[0],
        f"host?password={secret}",
    )
    return [*(f"{scheme}://{place}" for place in places), f"user:{secret}@host"]


def assert_clean(text: str, what: str) -> None:
    assert MARK not in text, f"a secret is in what {what} shows:\n{text}"


@pytest.mark.parametrize("tried", OPTIONS, ids=[f"{tried.plugin}-{tried.option.name}" for tried in OPTIONS])
def test_checking_settings_shows_no_secret(tried: Tried, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "kuma-sd.conf"
    for secret in HOSTILE:
        for value in written_values(tried.option, secret):
            path.write_text(settings_with(tried, value))
            # What is refused is refused by both in the same words.
            if main(["check", "-c", str(path)]) == 0:
                main(["config", "-c", str(path)])
            assert_clean("".join(capfd.readouterr()), f"{tried.option.name} = {value!r}")


def addresses(scheme: str, secret: str) -> list[str]:
    """Return how people write a secret in an address, rightly and wrongly."""
    places = (f"user:{secret}@host:1/name", f"{secret}@host", f"host?password={secret}", f"host:1 {secret}@host")
    forms = ("{scheme}://{place}", "{scheme}:{place}", "Name={scheme}://{place}", "a={place} {place}", "{place}")
    return [form.format(scheme=scheme, place=place) for form in forms for place in places]


@pytest.mark.parametrize("scheme", ["http", "redis+sentinel", "file"])
def test_an_address_shows_no_secret_however_it_is_set(
    scheme: str, tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "kuma-sd.conf"
    for number, value in enumerate(address for secret in HOSTILE for address in addresses(scheme, secret)):
        # Set in each of the three ways in turn.
        path.write_text(f"[kuma-sd]\ncp-address = {value}\n" if number % 3 == 0 else "")
        monkeypatch.setenv("KUMA_SD_CP_ADDRESS", value if number % 3 == 1 else "")
        words = ["-c", str(path), *([f"--cp-address={value}"] if number % 3 == 2 else [])]
        if main(["check", *words]) == 0:
            main(["config", *words])
        assert_clean("".join(capfd.readouterr()), f"cp-address = {value!r}")


@pytest.mark.parametrize(
    "line",
    [
        *(f"basic-auth-password {between} s3cr3t{MARK}" for between in (":", "->", "")),
        f"s3cr3t{MARK}",
        f"  s3cr3t{MARK}",
        f"[s3cr3t{MARK}",
        f"basic-auth-password = a\nbasic-auth-password = s3cr3t{MARK}",
        f"basic-auth-pasword = s3cr3t{MARK}",
        f"[web]\nbasic-auth-password = s3cr3t{MARK}",
        f"basic-auth-password = \xff s3cr3t{MARK}",
    ],
)
def test_a_broken_line_of_the_settings_file_is_not_quoted(
    line: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "kuma-sd.conf"
    path.write_bytes(f"[kuma-sd]\n{line}\n".encode("latin-1"))
    assert main(["check", "-c", str(path)]) == 2
    assert_clean("".join(capfd.readouterr()), line)


@pytest.mark.parametrize("flag", ["--basic-auth-password", "--basic-auth-pasword", "--header", "--redis-password"])
def test_a_secret_on_the_command_line_is_refused_and_not_quoted(flag: str, capfd: pytest.CaptureFixture[str]) -> None:
    for words in ([flag, f"s3cr3t{MARK}"], [f"{flag}=s3cr3t{MARK}"]):
        assert main(["check", *words]) == 2
        assert_clean("".join(capfd.readouterr()), flag)


@pytest.mark.parametrize(
    "content",
    [
        f"s3cr3t{MARK}\n# a comment\n",
        f"s3cr3t{MARK} {MARK}",
        f"s3cr3t{MARK}\0",
        f"s3cr3t{MARK}\r",
        f"ü{MARK}",
        f"\n{MARK}",
    ],
)
def test_a_file_with_a_token_is_one_line_or_is_refused_by_its_name(
    content: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    token = tmp_path / "token"
    token.write_bytes(content.encode())
    assert main(["check", "--cp-address=http://127.0.0.1:1", f"--bearer-token-file={token}"]) == 2
    shown = "".join(capfd.readouterr())
    assert_clean(shown, "check")
    assert f"bearer-token-file '{token}' must hold one line" in shown


@pytest.mark.parametrize(
    "content",
    [
        f"basic_auth_users: {{prom: s3cr3t{MARK}}}",
        f"basic_auth_users: [s3cr3t{MARK}]",
        f"basic_auth_users: s3cr3t{MARK}",
        f"tls_server_config: {{cert: a, key: s3cr3t{MARK}}}",
        f"tls_server_config: {{key: [s3cr3t{MARK}]}}",
        f"tls_server_config: {{key: |\n s3cr3t{MARK}",
        f"tls_server_config: {{key: s3cr3t{MARK}, key: b}}",
    ],
)
def test_a_web_config_that_is_wrong_is_not_quoted(
    content: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "web.yml"
    path.write_text(content)
    assert main(["check", f"--web-config-file={path}"]) == 2
    assert_clean("".join(capfd.readouterr()), content)


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


PATHS = ("/metrics", "/api/status", "/", "/targets", "/explain?selector=a", "/-/received", "/-/published", "/none")


OUR_OWN = {"KUMA_SD_STATE_DIR": "", "KUMA_SD_CONTROL_SOCKET": ""}
"""So that what the settings file says counts."""


def fetched(port: int) -> str:
    """Return all that the daemon shows on its listener."""
    texts = []
    for path in (
        "/metrics",
        "/api/status",
        "/",
        "/targets",
        "/explain?selector=a",
        "/-/received",
        "/-/published",
        "/none",
    ):
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


def clean_environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("KUMA_")}
