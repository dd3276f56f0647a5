"""Many clients that poll cost little: the list is made once for a change, and the password is computed once.

bench/polling.py measures what they cost.
"""

import re
import threading
from collections import Counter
from functools import partial
from pathlib import Path

import bcrypt
from serving import Address, basic, connected

from kuma_sd import Publication
from kuma_sd.settings.schema import WebOptions
from kuma_sd.system.threads import Threads
from kuma_sd.testing import group
from kuma_sd.web.application import Application
from kuma_sd.web.server.tcp_listeners import WebListeners
from kuma_sd_bundled.http_sd.output import HTTPSD

CLIENTS, POLLS = 30, 5


def poll(address: Address, start: threading.Barrier, statuses: "Counter[str]") -> None:
    """Ask again and again on one connection, as a client that knows entity tags does."""
    tag = ""
    with connected(address) as client:
        reader = client.makefile("rb")
        start.wait()
        for _ in range(POLLS):
            lines = ["GET /sd HTTP/1.1", "Host: localhost", f"Authorization: {basic('prometheus', 'secret')}"]
            lines += [f"If-None-Match: {tag}"] if tag else []
            client.sendall("\r\n".join([*lines, "", ""]).encode())
            head = b"".join(iter(reader.readline, b"\r\n")).decode()
            if length := re.search(r"Content-Length: ([0-9]+)", head):
                reader.read(int(length[1]))
            tag = head.partition("ETag: ")[2].partition("\r\n")[0]
            statuses[head.split()[1]] += 1


def test_the_list_and_the_password_are_computed_once_for_all_clients(tmp_path: Path) -> None:
    web = tmp_path / "web.yml"
    web.write_text(f"basic_auth_users: {{prometheus: {bcrypt.hashpw(b'secret', bcrypt.gensalt(6)).decode()}}}")
    output, threads = HTTPSD("/sd"), Threads()
    output.publish(Publication.of([group(f"dp-{number:05}") for number in range(2000)], received=0.0))
    options = WebOptions(listen_address=("127.0.0.1:0",), config_file=web)
    listeners = WebListeners(Application(lambda: {"/sd": output}), options, threads.start, partial(threads.stop, 5))
    listeners.open()
    listeners.start()
    (address,) = (serving.socket.getsockname() for serving in listeners._serving.values())
    statuses: Counter[str] = Counter()
    # A password that is not known yet is computed for one request at a time; others are told to try again.
    poll(address, threading.Barrier(1), statuses)
    start = threading.Barrier(CLIENTS)
    clients = [threading.Thread(target=poll, args=(address, start, statuses)) for _ in range(CLIENTS)]
    for client in clients:
        client.start()
    for client in clients:
        client.join()
    assert threads.stop(timeout=5) == []
    assert statuses == {"200": CLIENTS + 1, "304": (CLIENTS + 1) * (POLLS - 1)}
    authentication = listeners._config.now.authentication
    assert authentication
    assert output._content
    assert (authentication.computed, output._content.made) == (1, 1)
