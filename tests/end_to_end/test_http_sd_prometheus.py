"""The real Prometheus of Debian reads the list over HTTP, and its targets are those of the file."""

import contextlib
import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import bcrypt
import pytest
import trustme
from daemon_process import kuma_sd
from processes import Process
from prometheus import Prometheus, needs_prometheus, prometheus, promtool_accepts
from waiting import eventually

from kuma_sd.prometheus.sharding import hashmod
from kuma_sd.simulator import Dataplane, SimulatedControlPlane, World
from kuma_sd.testing import control_plane

pytestmark = [needs_prometheus]

DATAPLANES = [Dataplane(f"dp-{number}", address=f"127.1.0.{number}:5670") for number in range(20)]
SHARDS = 2
PASSWORD = "kept secret"  # noqa: S105 (of this test alone)

# Nothing is scraped before tomorrow; the targets do not exist.
CONFIG = """
global: {{scrape_interval: 1d}}
scrape_configs:
  - job_name: plain
    http_sd_configs: [{{url: "http://{plain}/sd"}}]
  - job_name: secured
    http_sd_configs:
      - url: "https://{secured}/sd"
        basic_auth: {{username: alice, password: {password}}}
        tls_config: {{ca_file: {directory}/ca.pem}}
  - job_name: wrong
    http_sd_configs:
      - url: "https://{secured}/sd"
        basic_auth: {{username: alice, password: wrong}}
        tls_config: {{ca_file: {directory}/ca.pem}}
"""

OF_SHARDS = """
  - job_name: shard-{number}
    http_sd_configs: [{{url: "http://{plain}/sd?shard={number}&of={of}"}}]
  - job_name: hashmod-{number}
    http_sd_configs: [{{url: "http://{plain}/sd"}}]
    relabel_configs:
      - {{action: hashmod, source_labels: [__address__], modulus: {of}, target_label: __tmp_hash}}
      - {{action: keep, source_labels: [__tmp_hash], regex: "{number}"}}
"""


@pytest.fixture(scope="module")
def kuma() -> Iterator[SimulatedControlPlane[World]]:
    with control_plane(*DATAPLANES) as running:
        yield running


def write_web_config(directory: Path) -> Path:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    certificate.private_key_and_cert_chain_pem.write_to_path(str(directory / "server.pem"))
    hashed = bcrypt.hashpw(PASSWORD.encode(), bcrypt.gensalt(4)).decode()
    path = directory / "web.yml"
    path.write_text(
        f"tls_server_config: {{cert_file: server.pem, key_file: server.pem}}\nbasic_auth_users: {{alice: {hashed}}}\n"
    )
    return path


@contextlib.contextmanager
def serving(kuma: SimulatedControlPlane[World], path: Path, *arguments: str) -> Iterator[tuple[Process, str]]:
    """Run a daemon that writes a file and listens; returns where."""
    flags = (f"--cp-address={kuma.url}", f"--output-file={path}", "--output=file_sd", "--output=http_sd")
    with kuma_sd("run", *flags, "--web-listen-address=127.0.0.1:0", *arguments) as daemon:
        address = listening(daemon)
        daemon.wait_for_line("published")
        daemon.wait_for_line("published")
        yield daemon, address


def listening(daemon: Process) -> str:
    found = re.search(r"url=\w+://([^/]+)/", daemon.wait_for_line('msg="listening"'))
    assert found
    return found[1]


Labels = dict[str, str]


def ordered(labels: Iterable[Labels]) -> list[Labels]:
    return sorted(labels, key=lambda one: sorted(one.items()))


def in_file(path: Path) -> list[Labels]:
    groups = json.loads(path.read_bytes())
    return ordered({**group["labels"], "__address__": group["targets"][0]} for group in groups)


def addresses(targets: list[Labels]) -> list[str]:
    return sorted(target["__address__"] for target in targets)


def found(server: Prometheus, job: str) -> list[Labels]:
    """Return what a job discovered and kept, without what Prometheus adds to it."""
    added = ("__meta_url", "__scrape_interval__", "__scrape_timeout__")
    kept = server.get("/api/v1/targets?state=active")["activeTargets"]
    mine = [item["discoveredLabels"] for item in kept if item["scrapePool"] == job]
    return ordered({name: value for name, value in item.items() if name not in added} for item in mine)


def finds(server: Prometheus, job: str, targets: list[Labels]) -> Callable[[], bool]:
    return lambda: found(server, job) == targets


def finds_addresses(server: Prometheus, job: str, wanted: list[str]) -> Callable[[], bool]:
    return lambda: addresses(found(server, job)) == wanted


def test_it_finds_what_is_in_the_file_plain_secured_and_in_shards(
    kuma: SimulatedControlPlane[World], tmp_path: Path
) -> None:
    path, web = tmp_path / "targets.json", write_web_config(tmp_path)
    with (
        serving(kuma, path) as (plain_daemon, plain),
        serving(kuma, tmp_path / "same.json", f"--web-config-file={web}") as (secured_daemon, secured),
    ):
        targets = in_file(path)
        assert len(targets) == len(DATAPLANES)
        config = tmp_path / "prometheus.yml"
        jobs = CONFIG + "".join(OF_SHARDS.replace("{number}", str(number)) for number in range(SHARDS))
        config.write_text(jobs.format(plain=plain, secured=secured, of=SHARDS, password=PASSWORD, directory=tmp_path))
        promtool_accepts(config)
        with prometheus(config) as server:
            for job in ("plain", "secured"):
                eventually(finds(server, job, targets), f"{job} has what is in the file")
            for number in range(SHARDS):
                mine = [address for address in addresses(targets) if hashmod(address, SHARDS) == number]
                assert mine
                for job in (f"shard-{number}", f"hashmod-{number}"):
                    # The addresses alone, since Prometheus 2.42 shows what relabelling made among what it discovered.
                    eventually(finds_addresses(server, job, mine), f"{job} has its part")
            assert found(server, "wrong") == []
            assert server.metric("prometheus_sd_http_failures_total") == 1, "of the one with the wrong password"
        plain_daemon.stop()
        secured_daemon.stop()
        assert PASSWORD not in plain_daemon.output + secured_daemon.output
