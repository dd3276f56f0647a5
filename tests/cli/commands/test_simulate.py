import contextlib
import http.client
import itertools
import json
import queue
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
import trustme
from os_reasons import NO_SUCH_FILE

from kuma_sd import SourceError
from kuma_sd.cli.main import main
from kuma_sd.mads.plugin import MadsOptions
from kuma_sd.mads.source import MadsSource
from kuma_sd.proto.discovery_pb2 import DiscoveryRequest, DiscoveryResponse
from kuma_sd.simulator import SimulatedControlPlane, World
from kuma_sd.simulator.encoders import GrpcV1

DATA = Path(__file__).parents[2] / "data"

Simulator = subprocess.Popen[str]


@contextlib.contextmanager
def simulator(*arguments: str) -> Iterator[tuple[Simulator, str]]:
    command = [sys.executable, "-m", "kuma_sd", "simulate", "--listen", "127.0.0.1:0", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        yield process, line_of(process)
    finally:
        process.kill()
        process.communicate()


def line_of(process: Simulator) -> str:
    assert process.stdout is not None
    return process.stdout.readline().rstrip("\n")


def address_in(line: str) -> str:
    return line.removeprefix("listening at grpc://").partition(": ")[0]


@contextlib.contextmanager
def responses(address: str) -> Iterator[Iterator[DiscoveryResponse]]:
    """Follow a control plane, and acknowledge all that it says."""
    requests: queue.SimpleQueue[DiscoveryRequest | None] = queue.SimpleQueue()

    def receive(call: Iterator[bytes]) -> Iterator[DiscoveryResponse]:
        requests.put(DiscoveryRequest())
        for message in call:
            response = DiscoveryResponse.FromString(message)
            requests.put(DiscoveryRequest(version_info=response.version_info, response_nonce=response.nonce))
            yield response

    # Else it would share the fate, and the back-off, of an earlier test's connection to a port of the same number.
    options = (("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))
    with grpc.insecure_channel(address, options=options) as channel:
        open_stream: grpc.StreamStreamMultiCallable[DiscoveryRequest, bytes]
        open_stream = channel.stream_stream(GrpcV1.method, DiscoveryRequest.SerializeToString)
        call = open_stream(iter(requests.get, None))
        yield receive(call)
        call.cancel()
        requests.put(None)


def test_a_generated_world_is_served_and_changes() -> None:
    with simulator("--targets", "50", "--churn", "4", "--seed", "3", "--refresh", "0") as (process, line):
        assert line.endswith(": 50 dataplanes, changes a second: 4")
        with responses(address_in(line)) as stream:
            sets = [frozenset(resource.value for resource in next(stream).resources) for _ in range(4)]
            assert line_of(process) == "connected clients: 1"
        assert line_of(process) == "connected clients: 0"
    assert len(sets[0]) in (49, 50)  # it may have begun to change
    for before, after in itertools.pairwise(sets):
        assert 1 <= len(before ^ after) <= 2


def test_equal_seeds_make_equal_worlds() -> None:
    worlds = []
    for seed in ("3", "3", "4"):
        flags = ("--targets", "50", "--churn", "0", "--seed", seed)
        with simulator(*flags) as (_, line), responses(address_in(line)) as stream:
            worlds.append({resource.value for resource in next(stream).resources})
    assert worlds[0] == worlds[1] != worlds[2]


def test_a_recording_is_played_to_its_end_with_its_restart() -> None:
    flags = ("--replay", str(DATA / "kuma-1.2.3"), "--interval", "150ms", "--refresh", "0")
    with simulator(*flags) as (process, line):
        assert line.endswith(f": step 0-empty of {DATA / 'kuma-1.2.3'}")
        lines = [line_of(process) for _ in range(6)]
        with responses(address_in(line)) as stream:
            assert len(next(stream).resources) == 4
    assert lines == [
        "step 1-seeded",
        "step 2-three-added",
        "step 3-tag-changed",
        "step 4-two-deleted",
        "step 5-restarted-empty, after a restart",
        "step 6-reseeded, the last",
    ]


def test_a_client_of_a_recording_sees_the_restart() -> None:
    counts: list[int] = []
    # Long enough for a client that is slow to acknowledge: it would miss a step.
    flags = ("--replay", str(DATA / "kuma-2.6.15"), "--interval", "600ms", "--refresh", "0")
    with simulator(*flags) as (_, line), responses(address_in(line)) as stream, pytest.raises(grpc.RpcError) as error:
        counts.extend(len(response.resources) for response in stream)
    assert error.value.code() is grpc.StatusCode.UNAVAILABLE
    assert counts
    assert counts == [0, 13, 16, 16, 14][-len(counts) :]


def catalog(api_server: str) -> dict[str, Any]:
    connection = http.client.HTTPConnection(api_server.removeprefix("http://"), timeout=5)
    connection.request("GET", "/catalog")
    parsed: dict[str, Any] = json.load(connection.getresponse())
    connection.close()
    return parsed


def test_an_old_kuma_is_found_through_its_api_server() -> None:
    with simulator("--kuma-version", "0.7.3", "--api-listen", "127.0.0.1:0") as (process, line):
        api_server = line_of(process).removeprefix("API server at ")
        port = address_in(line).rpartition(":")[2]
        assert catalog(api_server)["apis"]["monitoringAssignment"]["url"] == f"grpc://localhost:{port}"


def test_the_catalog_of_a_recording_is_served() -> None:
    with simulator("--replay", str(DATA / "kuma-0.7.3"), "--api-listen", "127.0.0.1:0") as (process, line):
        api_server = line_of(process).removeprefix("API server at ")
        recorded = json.loads((DATA / "kuma-0.7.3" / "catalog.json").read_bytes())
        port = address_in(line).rpartition(":")[2]
        recorded["apis"]["monitoringAssignment"]["url"] = f"grpc://localhost:{port}"
        assert catalog(api_server) == recorded


def test_a_new_kuma_can_have_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_and_cert_chain_pem.write_to_path(tmp_path / "all.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    files = ("--tls-cert-file", str(tmp_path / "all.pem"), "--tls-key-file", str(tmp_path / "all.pem"))
    with simulator("--kuma-version", "2.14.3", "--client", "ours", *files) as (_, line):
        address = line.removeprefix("listening at ").partition(": ")[0]
        assert address.startswith("https://")
        for name, targets in (("ours", 100), ("theirs", None)):
            options = MadsOptions(name=name, fetch_timeout=0.1, tls_ca_file=str(tmp_path / "ca.pem"))
            source = MadsSource(address, options, "")
            if targets:
                assert len(next(iter(source)).assignments) in (99, 100)
            else:
                with pytest.raises(SourceError, match="names other clients"):
                    next(iter(source))
            source.close()


@pytest.mark.parametrize("stop", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("churn", ["0", "1000"])
def test_it_ends_at_once_and_without_a_word_when_stopped(stop: signal.Signals, churn: str) -> None:
    with simulator("--churn", churn) as (process, line), responses(address_in(line)) as stream:
        next(stream)
        started = time.monotonic()
        process.send_signal(stop)
        assert process.wait(5) == 0
        assert time.monotonic() - started < 1
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_a_port_that_is_taken_is_one_clear_line() -> None:
    with SimulatedControlPlane(World()) as other:
        command = [sys.executable, "-m", "kuma_sd", "simulate", "--listen", other.address]
        ended = subprocess.run(command, check=False, capture_output=True, text=True)
    assert ended.returncode == 2
    [line] = ended.stderr.splitlines()
    assert line.startswith(f"kuma-sd: cannot listen at {other.address}: it is taken")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--listen", "here"], "'here' is not an address like 127.0.0.1:5676"),
        (["--listen", "127.0.0.1:65536"], "'127.0.0.1:65536' is not an address"),
        (["--targets", "-1"], "'-1' is less than none"),
        (["--targets", "many"], "'many' is not a whole number"),
        (["--churn", "nan"], "'nan' is not a number of changes a second"),
        (["--churn", "-1"], "'-1' is not a number of changes a second"),
        (["--replay", "/nowhere"], "'/nowhere' is not a folder with recorded traffic: "),
        (["--replay", str(DATA / "kuma-2.14.3"), "--kuma-version", "0.7.3"], "holds nothing over grpc-v1alpha1"),
        (["--kuma-version", "newest"], "'newest' is not a version of Kuma like 2.6.15"),
        (["--kuma-version", ""], "'' is not a version of Kuma like 2.6.15"),
        (["--no-mads"], "such a control plane has no MADS, only an API: say where with --api-listen"),
        (
            ["--no-mads", "--kuma-version", "2.9", "--api-listen", "127.0.0.1:0"],
            "MADS can be switched off since Kuma 2.14 only",
        ),
        (["--kuma-version", "0.3.1"], "Kuma 0.3.1 has no MADS"),
        (["--api-listen", "there"], "'there' is not an address like"),
        (["--client", "a", "--listen", "127.0.0.1"], "'127.0.0.1' is not an address like"),
        (["--tls-cert-file", "cert.pem"], "--tls-cert-file and --tls-key-file go together"),
        (["--tls-cert-file", "/no", "--tls-key-file", "/no"], f"cannot be used: {OSError(2, NO_SUCH_FILE)}"),
        (["--replay", str(DATA / "kuma-1.2.3"), "--interval", "0"], "'0' is too short"),
        (["--replay", str(DATA / "kuma-1.2.3"), "--seed", "2"], "a recording is played as it is, without --seed"),
        (["--interval", "1s"], "only a recording, chosen with --replay, has an --interval"),
    ],
)
def test_wrong_flags_are_one_clear_line(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    with unblocked_afterwards():
        assert main(["simulate", *arguments]) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert message in line


@contextlib.contextmanager
def unblocked_afterwards() -> Iterator[None]:
    """Keep what a command does to the signals of its process from the tests'."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
