"""A server or proxy that sends back the credentials that it was sent makes none of them visible."""

import base64
import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote
from urllib.request import urlopen

import pytest
from daemon_process import kuma_sd
from redis_server import free_port
from reflecting_servers import ANSWERS, MESSAGES, STATUSES, reflecting_grpc, reflecting_http
from waiting import eventually

from kuma_sd.testing import control_plane

SECRETS = {
    "bearer": "bK7vZq0pLm2wRt9sHx4y",
    "basic": 'wJ3n"C\\f8/Gd5@hTe1Ua',
    "header": "oX6 mVr2#Yk9'Pq4&zB7i",
    "proxy": "eD5gNs8?jWl3:Fo6uQc0R",
    "address": "tM1yIv4%Ab7+Kx2=nEz9L",
}
"""Secrets by where they are set, without eight characters that occur anywhere else."""

CUT = 8
"""Number of characters of a secret that must not be visible."""


EMPTY = "api-index"
"""The control plane whose answers are right: lists without any item."""


def forms(secret: str) -> Iterator[str]:
    """Yield the forms in which a secret may be visible."""
    yield from (secret, quote(secret), quote(secret, safe=""), json.dumps(secret)[1:-1], repr(secret)[1:-1])
    for user in ("", "user:", "me:"):
        yield base64.b64encode(f"{user}{secret}".encode()).decode().rstrip("=")
        # As it is cut where the secret begins.
        yield base64.b64encode(f"{user}{secret}".encode()).decode()[len(user) * 4 // 3 + 2 :].rstrip("=")


def visible(text: str) -> list[str]:
    """Return all pieces of secrets in a text."""
    known = [form for secret in SECRETS.values() for form in forms(secret)]
    pieces = {form[at : at + CUT] for form in known for at in range(len(form) - CUT + 1)}
    return sorted(piece for piece in pieces if piece in text)


def settings(directory: Path, good: str, http: str, grpc: str) -> tuple[str, list[str]]:
    """Return settings with a control plane for each answer and each way to log in, and their names."""
    (directory / "token").write_text(SECRETS["bearer"])
    user = f"user:{quote(SECRETS['address'], safe='')}@"
    token = f"bearer-token-file = {directory}/token"
    password = f"basic-auth-username = me\nbasic-auth-password = {SECRETS['basic']}"
    proxy = f"proxy = http://user:{quote(SECRETS['proxy'], safe='')}@{http}"
    addresses, sections = [f"good={good}"], []

    def add(name: str, address: str, options: str) -> None:
        addresses.append(f"{name}={address}")
        sections.append(f"[{name}]\nheader = X-Secret: {SECRETS['header']}\n{options}\n")

    ways = (token, password)
    for number, answer in enumerate([*ANSWERS, "catalog-host"]):
        add(f"http-{answer}", f"http://{http}/{answer}", f"transport = http\n{ways[number % 2]}")
        add(f"user-{answer}", f"http://{user}{http}/{answer}", "transport = http")
        add(f"proxied-{answer}", f"http://kuma.invalid/{answer}", f"transport = http\n{proxy}")
        add(f"api-{answer}", f"kuma-api+http://{http}/{answer}", ways[(number + 1) % 2])
    for scheme in ("https", "grpcs", "grpc"):
        add(f"tunnel-{scheme}", f"{scheme}://status-407.invalid:443", proxy)
    for name in [*STATUSES, *MESSAGES]:
        add(f"grpc-{name}", f"grpc://{grpc}", f"transport = grpc\nname = {name}\n{ways[len(addresses) % 2]}")
    lines = ["[kuma-sd]", "cp-address =", *(f"  {address}" for address in addresses)]
    lines += [f"state-dir = {directory}/state", f"control-socket = {directory}/socket", "log-level = debug"]
    lines += ["start-wait = 1s", f"[file_sd]\npath = {directory}/published/targets.json", *sections]
    return "\n".join(lines), [address.partition("=")[0] for address in addresses[1:]]


# More than a hundred control planes connect at the same time.
@pytest.mark.timeout(300)
def test_what_is_reflected_is_shown_nowhere(tmp_path: Path) -> None:
    port, path = free_port(), tmp_path / "kuma-sd.conf"

    def fetched(what: str) -> str:
        with contextlib.closing(urlopen(f"http://127.0.0.1:{port}{what}", timeout=60)) as answer:
            return str(answer.read().decode())

    def failing() -> set[str]:
        planes = json.loads(fetched("/api/status"))["control_planes"]
        return {plane["name"] for plane in planes if plane["connection"]["failing"]}

    with control_plane("a") as kuma, reflecting_http() as http, reflecting_grpc() as grpc:
        text, names = settings(tmp_path, kuma.url, http, grpc)
        path.write_text(text)
        own = {"KUMA_SD_STATE_DIR": "", "KUMA_SD_CONTROL_SOCKET": ""}
        with kuma_sd("run", "-c", path, **own, KUMA_SD_WEB_LISTEN_ADDRESS=f"127.0.0.1:{port}") as daemon:
            daemon.wait_for_line("published")
            eventually(lambda: failing() >= set(names) - {EMPTY}, "all connections failed", patience=200)
            shown = "\n".join(map(fetched, ("/api/status", "/metrics", "/", "/targets")))
            program = [sys.executable, "-m", "kuma_sd", "status", "-c", str(path)]
            shown += subprocess.run(program, capture_output=True, text=True, check=False).stdout
            daemon.stop()
        shown += daemon.output
    assert not visible(shown), [line for line in shown.splitlines() if visible(line)][:5]
    assert "(HTTP status 401)" in shown
    assert "gRPC status internal: Connection refused" in shown
