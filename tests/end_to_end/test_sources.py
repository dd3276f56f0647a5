"""Control planes, gateways and proxies that behave badly, under the real daemon."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import grpc
import pytest
from daemon_process import kuma_sd
from http_server import http_server
from mads_answer import mads_answer
from mads_streams import mads_streams, response, silent
from processes import Process
from waiting import eventually

from kuma_sd.testing import control_plane


@contextmanager
def daemon(path: Path, address: str, *flags: str) -> Iterator[Process]:
    """Run kuma-sd; it ends with the block."""
    places = (f"--output-file={path}", f"--state-dir={path.parent / 'state'}")
    with kuma_sd(
        "run", f"--cp-address={address}", "--guard-hold=1s", "--min-interval=100ms", *places, *flags
    ) as running:
        yield running


def names(path: Path) -> list[str]:
    """Return what is published; nothing while there is no file."""
    return sorted(group["labels"]["dataplane"] for group in json.loads(path.read_bytes())) if path.exists() else []


def test_a_gateway_that_ends_each_stream_after_one_message_is_asked_ever_less_often_and_logged_briefly(
    tmp_path: Path,
) -> None:
    streams: list[float] = []

    def once_only(requests: Iterator[bytes], _context: grpc.ServicerContext) -> Iterator[bytes]:
        streams.append(time.monotonic())
        next(requests)
        yield response()

    with (
        mads_streams(once_only) as address,
        daemon(tmp_path / "targets.json", f"grpc://{address}", "--transport=grpc") as running,
    ):
        running.wait_for_line("connection fails again and again")
        eventually(lambda: len(streams) >= 4, "it is tried again")
        running.stop()
    pauses = [after - before for before, after in pairwise(streams)]
    assert pauses[2] > 0.9, "no first pause takes longer than 0.5 s; each connection brought an answer"
    assert len([line for line in running.lines if 'msg="connected"' in line or "trying again" in line]) == 3
    assert len([line for line in running.lines if "fails again and again" in line]) == 1


def test_a_first_replica_that_takes_the_stream_and_never_answers_delays_the_first_file_by_seconds(
    tmp_path: Path,
) -> None:
    path = tmp_path / "targets.json"
    with (
        mads_streams(silent) as locked_up,
        control_plane("a", "b") as kuma,
        daemon(path, f"grpc://{locked_up},{kuma.address}", "--start-wait=10s") as running,
    ):
        # The next replica is tried after a head start, long before the first one's time for an answer is over.
        running.wait_for_line(f"endpoint={kuma.address}", patience=8)
        eventually(lambda: names(path) == ["a", "b"], "the other replica's targets are published")


@pytest.mark.parametrize(
    "page",
    [
        b'{"error":{"code":401,"message":"token expired"}}',
        b'{"status":"error"}',
        b'{"version_info":"7","resources":[],"type_url":"type.googleapis.com/envoy.config.cluster.v3.Cluster"}',
        b"<html>Please log in</html>",
    ],
)
def test_what_is_no_answer_of_mads_takes_nothing_away_however_long_it_lasts(tmp_path: Path, page: bytes) -> None:
    path = tmp_path / "targets.json"
    with http_server() as server:
        server.answer(body=mads_answer("1", "a", "b"))
        for _ in range(100):
            server.answer(body=page)
        with daemon(path, f"http://{server.address}", "--transport=http") as running:
            eventually(lambda: names(path) == ["a", "b"], "they are published")
            running.wait_for_line("is no MADS response")
            # More than twice as long as the guard would hold them.
            threading.Event().wait(2.5)
            assert names(path) == ["a", "b"]


def test_a_single_removal_behind_a_proxy_that_closes_connections_is_neither_held_nor_warned_about(
    tmp_path: Path,
) -> None:
    path = tmp_path / "targets.json"
    with http_server() as server:
        server.answer(body=mads_answer("1", *"abcd"), Connection="close")
        for _ in range(3):
            server.answer(304, Connection="close")
        server.answer(body=mads_answer("2", *"abc"), Connection="close")
        with daemon(path, f"http://{server.address}", "--transport=http", "--fetch-timeout=1s") as running:
            eventually(lambda: names(path) == [*"abcd"], "all are published")
            eventually(lambda: names(path) == [*"abc"], "what is gone is gone")
            running.stop()
    assert server.connections >= 5
    assert "vanished but stay" not in running.output
    assert "level=warn" not in running.output
