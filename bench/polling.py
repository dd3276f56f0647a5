"""Measure how much 200 clients that poll the list over HTTP delay the publishing of a file.

A simulated control plane changes one of 20,000 targets now and then; a daemon publishes them to a file and at /sd. How
long it takes from the change to the file is measured without clients, with them, and without them again. Each client
asks once a second, with a password and the entity tag of what it has.

    PYTHONPATH=tests/support python bench/polling.py
"""

import argparse
import asyncio
import base64
import contextlib
import multiprocessing
import multiprocessing.synchronize
import re
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import bcrypt
from daemon_process import kuma_sd
from processes import Process

from kuma_sd.simulator import GeneratedWorld, SimulatedControlPlane

PASSWORD = "of the benchmark"  # noqa: S105 (it guards nothing)


async def _client(port: int, number: int, clients: int, statuses: "multiprocessing.Queue[bytes]") -> None:
    authorization = base64.b64encode(f"prometheus:{PASSWORD}".encode()).decode()
    tag = ""
    await asyncio.sleep(number / clients)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    while True:
        lines = ["GET /sd HTTP/1.1", "Host: localhost", f"Authorization: Basic {authorization}"]
        lines += [f"If-None-Match: {tag}"] if tag else []
        begun = time.monotonic()
        writer.write("\r\n".join([*lines, "", ""]).encode())
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = re.search(r"Content-Length: ([0-9]+)", head)
        if length:
            await reader.readexactly(int(length[1]))
        found = re.search(r"ETag: (\S+)", head)
        tag = found[1] if found else ""
        statuses.put(head.split()[1].encode())
        await asyncio.sleep(max(0.0, begun + 1 - time.monotonic()))


def _poll(port: int, clients: int, statuses: "multiprocessing.Queue[bytes]") -> None:
    async def all_of_them() -> None:
        await asyncio.gather(*(_client(port, number, clients, statuses) for number in range(clients)))

    asyncio.run(all_of_them())


@contextlib.contextmanager
def polling(port: int, clients: int) -> Iterator["multiprocessing.Queue[bytes]"]:
    """Poll from a process of its own while the block runs; yields the status of each answer."""
    context = multiprocessing.get_context("spawn")
    statuses: multiprocessing.Queue[bytes] = context.Queue()
    process = context.Process(target=_poll, args=(port, clients, statuses), daemon=True)
    process.start()
    try:
        yield statuses
    finally:
        process.kill()
        process.join()


def publishing(world: GeneratedWorld, path: Path, changes: int, pause: float) -> list[float]:
    """Change the world now and then; returns how long each change took to the file, in seconds."""
    seconds = []
    for _ in range(changes):
        before, begun = path.stat().st_ino, time.monotonic()
        world.change()
        while path.stat().st_ino == before:
            time.sleep(0.001)
        seconds.append(time.monotonic() - begun)
        time.sleep(pause)
    return seconds


def listening(daemon: Process) -> int:
    """Return the port of a daemon that was just started."""
    found = re.search(r"url=http://127.0.0.1:([0-9]+)/", daemon.wait_for_line('msg="listening"'))
    assert found
    return int(found[1])


def cpu_seconds(pid: int) -> float:
    """Return how much CPU a process used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100


def main() -> None:
    """Measure, and print what came out."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--targets", type=int, default=20_000)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--changes", type=int, default=10, help="how many are measured each time")
    parser.add_argument("--pause", type=float, default=5.0, help="seconds between two; more than min-interval")
    arguments = parser.parse_args()
    world = GeneratedWorld(arguments.targets)
    with tempfile.TemporaryDirectory() as directory, SimulatedControlPlane(world) as control_plane:
        path, web = Path(directory) / "targets.json", Path(directory) / "web.yml"
        web.write_text(
            f"basic_auth_users: {{prometheus: {bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(10)).decode()}}}"
        )
        flags = ["--output=file_sd", "--output=http_sd", "--web-listen-address=127.0.0.1:0", "--guard-hold=0"]
        with kuma_sd(
            "run", f"--cp-address={control_plane.url}", f"--output-file={path}", f"--web-config-file={web}", *flags
        ) as daemon:
            port = listening(daemon)
            daemon.wait_for_line("published")
            daemon.wait_for_line("published")
            _measure(arguments, world, path, daemon, port)


def _measure(arguments: argparse.Namespace, world: GeneratedWorld, path: Path, daemon: Process, port: int) -> None:
    publishing(world, path, 2, arguments.pause)
    before = publishing(world, path, arguments.changes, arguments.pause)
    with polling(port, arguments.clients) as statuses:
        publishing(world, path, 2, arguments.pause)
        while not statuses.empty():
            statuses.get()
        begun, used = time.monotonic(), cpu_seconds(daemon.pid)
        during = publishing(world, path, arguments.changes, arguments.pause)
        elapsed, used = time.monotonic() - begun, cpu_seconds(daemon.pid) - used
        answers = [statuses.get().decode() for _ in range(statuses.qsize())]
    after = publishing(world, path, arguments.changes, arguments.pause)
    for what, seconds in (("without clients", before), ("with clients", during), ("without them again", after)):
        print(f"{what:<20}median {statistics.median(seconds) * 1000:6.1f} ms   slowest {max(seconds) * 1000:6.1f} ms")
    quiet = statistics.median([*before, *after])
    print(f"change              {(statistics.median(during) / quiet - 1) * 100:+.1f} %")
    counts = ", ".join(f"{answers.count(status)} with {status}" for status in sorted(set(answers)))
    print(
        f"answers             {len(answers) / elapsed:.0f} a second: {counts}; {used / elapsed * 100:.0f} % of one CPU"
    )


if __name__ == "__main__":
    main()
