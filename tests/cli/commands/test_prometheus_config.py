"""The printed scrape job is one that Prometheus accepts, and that reads what the settings publish."""

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest
import trustme
import yaml
from prometheus import needs_prometheus

from kuma_sd.cli.main import main

PASSWORD = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG"  # noqa: S105 (hashed, of nothing)

HTTP = ("--output=http_sd", "--web-listen-address=10.1.2.3:9119")
SHARDED = ("--output-file=/srv/kuma-{shard}.json", "--file-sd-shards=8")
SETTINGS = {
    "the defaults": (),
    "a file": ("--output-file=/srv/kuma.yml",),
    "labels of kuma_sd_configs": ("--label-profile=kuma_sd_configs",),
    "one of several shards in files": (*SHARDED, "--shard=2/8"),
    "the shard that is written": ("--file-sd-shard=1/4",),
    "a list over HTTP": HTTP,
    "a shard over HTTP": (*HTTP, "--shard=2/8"),
    "several outputs": ("--output=file_sd", "--output=other=file_sd", "--other-path=/srv/o.json", "--output=http_sd"),
}


def printed(capsys: pytest.CaptureFixture[str], *flags: str) -> str:
    assert main(["prometheus-config", *flags]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    return captured.out


def jobs(text: str) -> list[dict[str, Any]]:
    return yaml.safe_load(text)["scrape_configs"]  # type: ignore[no-any-return] # (whatever YAML holds)


@pytest.fixture
def web(tmp_path: Path) -> Path:
    """Return a web configuration with TLS, a user, and certificates of clients."""
    authority = trustme.CA()
    certificate = authority.issue_cert("kuma-sd.internal")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    tls = {"cert_file": "cert.pem", "key_file": "key.pem", "client_ca_file": "ca.pem"}
    content = {
        "tls_server_config": {**tls, "client_auth_type": "RequireAndVerifyClientCert"},
        "basic_auth_users": {"prometheus": PASSWORD},
    }
    (tmp_path / "web.yml").write_text(json.dumps(content))
    return tmp_path / "web.yml"


@needs_prometheus
@pytest.mark.parametrize("flags", SETTINGS.values(), ids=SETTINGS)
def test_promtool_accepts_what_is_printed(
    flags: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check(printed(capsys, *flags), tmp_path)


@needs_prometheus
def test_promtool_accepts_tls_and_login(web: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, *HTTP, f"--web-config-file={web}")
    check(text, tmp_path)
    assert jobs(text)[0]["http_sd_configs"] == [
        {
            "url": "https://10.1.2.3:9119/sd",
            "basic_auth": {"username": "prometheus", "password_file": "kuma-sd.password"},
            "tls_config": {"ca_file": "kuma-sd-ca.pem", "cert_file": "prometheus.pem", "key_file": "prometheus.key"},
        }
    ]
    assert PASSWORD not in text


@needs_prometheus
def test_jobs_alone_continue_the_list_of_debians_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    existing = "scrape_configs:\n  - job_name: node\n    static_configs:\n      - targets: ['localhost:9100']\n"
    text = existing + printed(capsys, "--jobs-only")
    check(text, tmp_path)
    assert [job["job_name"] for job in jobs(text)] == ["node", "kuma-dataplanes"]


def check(text: str, directory: Path) -> None:
    (directory / "prometheus.yml").write_text(text)
    command = ["promtool", "check", "config", str(directory / "prometheus.yml")]
    checked = subprocess.run(command, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_a_relative_path_is_printed_as_an_absolute_one(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    text = printed(capsys, "--output-file=targets/kuma.json")
    assert jobs(text)[0]["file_sd_configs"] == [{"files": [f"{tmp_path}/targets/kuma.json"]}]


def test_each_shard_is_read_from_its_own_file_or_url(capsys: pytest.CaptureFixture[str]) -> None:
    text = printed(capsys, *SHARDED, "--output=file_sd", "--output=http_sd", "--shard=2/8")
    files, http = jobs(text)
    assert files["file_sd_configs"] == [{"files": ["/srv/kuma-2.json"]}]
    assert http["http_sd_configs"] == [{"url": "http://127.0.0.1:9119/sd?shard=2&of=8"}]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (SHARDED, "output file_sd: it writes 8 shards; choose one with --shard, from 0/8 to 7/8"),
        ((*SHARDED, "--shard=0/4"), "output file_sd: it writes 8 shards; choose one with --shard, from 0/8 to 7/8"),
        (("--shard=0/4",), "output file_sd: it writes no shards; leave --shard away"),
        (("--only=file",), "there is no output 'file'; did you mean 'file_sd'?"),
        (
            ("--output=http_sd", "--web-listen-address="),
            "listen-address in [web] is empty, so Prometheus cannot reach http_sd; set it",
        ),
    ],
)
def test_what_cannot_be_read_is_refused(
    flags: tuple[str, ...], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prometheus-config", *flags]) == 2
    assert capsys.readouterr() == ("", f"kuma-sd: {message}\n")


def test_an_address_that_others_cannot_reach_is_commented(capsys: pytest.CaptureFixture[str]) -> None:
    assert "# 127.0.0.1 is this machine only" in printed(capsys, "--output=http_sd")
    assert "name; use the one by which Prometheus" in printed(capsys, "--output=http_sd", "--web-listen-address=:80")
