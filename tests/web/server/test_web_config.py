"""Prometheus's web configuration: promtool accepts what we accept, and mistakes are named with file, line and key."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from os_reasons import NO_SUCH_FILE
from prometheus import needs_prometheus
from waiting import eventually

from kuma_sd.core.errors import ConfigError
from kuma_sd.system.threads import Threads
from kuma_sd.web.server.web_config import Reading, WebConfig
from kuma_sd.web.server.web_config_watcher import WebConfigWatcher, check_losses

HASHED = "$2y$10$X0h1gDsPszWURQaxFh.zoubFi6DXncSjhoQNJgRrnGs7EsimhC7zG"

TLS = "tls_server_config: {cert_file: cert.pem, key_file: key.pem"
CLIENTS = TLS + ", client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem}"

GOOD = [
    "",
    "# nothing\n",
    "tls_server_config:\nbasic_auth_users:\n",
    TLS + "}",
    TLS + ", client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem}",
    TLS + ", client_auth_type: VerifyClientCertIfGiven, client_ca_file: ca.pem}",
    TLS + ", client_auth_type: RequestClientCert}",
    TLS + ", min_version: TLS12, max_version: TLS13}",
    TLS + ", min_version: TLS10}",
    TLS + ", cipher_suites: [TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, TLS_AES_128_GCM_SHA256]}",
    TLS + ", prefer_server_cipher_suites: false, curve_preferences: [CurveP256]}",
    TLS + ", curve_preferences: [CurveP256, X25519]}",
    "http_server_config: {http2: false, headers: {X-Frame-Options: deny, X-XSS-Protection: '1'}}",
    "http_server_config: {headers: {Strict-Transport-Security: max-age=9, Content-Security-Policy: 'a; b'}}",
    f"basic_auth_users: {{alice: {HASHED}, bob: {HASHED.replace('2y', '2b')}}}",
]

BAD = [
    ("tls_server_confg: {}", ":1: unknown key 'tls_server_confg'; did you mean 'tls_server_config'?"),
    ("\n\ntls_server_config: {\n cert_fil: x}", ":4: unknown key 'cert_fil' in tls_server_config; did you mean"),
    ("http_server_config: {headers: {X-Other: a}}", ":1: unknown key 'X-Other' in headers"),
    ("http_server_config: {headers: {X-Frame-Options: allow}}", "X-Frame-Options takes deny or sameorigin"),
    ("http_server_config: {http2: 7}", "http2 is true or false"),
    ("basic_auth_users: {alice: s3cr3t}", ":1: the password of 'alice' is not hashed with bcrypt"),
    ("basic_auth_users: [alice]", "basic_auth_users is made of keys and values"),
    ("basic_auth_users: {alice: [s3cr3t]}", "the password of 'alice' is a text"),
    ("basic_auth_users: {alice: 's3cr3t\n", ":2: is not YAML"),
    ("[" * 20_000, ": it is nested too deeply"),
    ("[s3cr3t]", "a web configuration is made of keys and values"),
    ("tls_server_config: {cert_file: cert.pem}", "a certificate and its key belong together"),
    ("tls_server_config: {cert_file: none.pem, key_file: key.pem}", f"none.pem' cannot be read: {NO_SUCH_FILE}"),
    ("tls_server_config: {cert_file: cert.pem, key_file: other.pem}", "do not fit together"),
    ("tls_server_config: {cert_file: key.pem, key_file: cert.pem}", "do not fit together"),
    (TLS + ", client_ca_file: ca.pem}", "client_ca_file needs a client_auth_type"),
    (TLS + ", client_auth_type: RequireAndVerifyClientCert, client_ca_file: key.pem}", "holds no certificate in PEM"),
    (TLS + ", client_auth_type: Sometimes}", "client_auth_type 'Sometimes' is none"),
    (TLS + ", min_version: SSL30}", "min_version 'SSL30' is none"),
    (TLS + ", min_version: TLS13, max_version: TLS12}", "min_version is above max_version"),
    (TLS + ", cipher_suites: [TLS_RSA_WITH_RC4_128_SHA]}", "cipher_suites has 'TLS_RSA_WITH_RC4_128_SHA'"),
    (TLS + ", cipher_suites: TLS_AES_128_GCM_SHA256}", "cipher_suites is a list"),
]

# Good to Prometheus, and refused here.
ONLY_OURS = [
    (TLS + ", client_auth_type: RequireAnyClientCert}", "RequireAnyClientCert is not offered"),
    (TLS + ", max_version: TLS11}", "max_version TLS11 is not offered"),
]

# Newer than Debian's promtool.
NEWER = [
    "rate_limit: {interval: 1s, burst: 20}",
    TLS + ", client_auth_type: RequireAndVerifyClientCert, client_ca_file: ca.pem, client_allowed_sans: [a, 1.2.3.4]}",
]


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("web-config")
    authority = trustme.CA()
    certificate, other = authority.issue_cert("localhost"), authority.issue_cert("localhost")
    authority.cert_pem.write_to_path(str(directory / "ca.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(directory / "cert.pem"))
    certificate.private_key_pem.write_to_path(str(directory / "key.pem"))
    other.private_key_pem.write_to_path(str(directory / "other.pem"))
    return directory


def promtool(path: Path) -> bool:
    checked = subprocess.run(["promtool", "check", "web-config", path], capture_output=True, check=False)
    return checked.returncode == 0


def written(directory: Path, text: str) -> Path:
    path = directory / "web.yml"
    path.write_text(text)
    return path


@needs_prometheus
@pytest.mark.parametrize("text", GOOD)
def test_what_is_accepted_promtool_accepts_too(directory: Path, text: str) -> None:
    path = written(directory, text)
    Reading(path).config()
    assert promtool(path)


@pytest.mark.parametrize("text", NEWER)
def test_what_newer_versions_have_is_accepted(directory: Path, text: str) -> None:
    Reading(written(directory, text)).config()


@pytest.mark.parametrize(("text", "reason"), [*BAD, *ONLY_OURS])
def test_a_mistake_is_one_line_with_its_file_and_no_secret(directory: Path, text: str, reason: str) -> None:
    path = written(directory, text)
    with pytest.raises(ConfigError) as caught:
        Reading(path).config()
    message = str(caught.value)
    assert message.startswith(str(path))
    assert reason in message
    assert "\n" not in message
    assert "s3cr3t" not in message


@needs_prometheus
@pytest.mark.parametrize("text", [text for text, _ in ONLY_OURS])
def test_what_cannot_be_done_safely_is_refused_though_promtool_accepts_it(directory: Path, text: str) -> None:
    assert promtool(written(directory, text))


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("http_server_config: {http2: true}", "http2 is not honoured"),
        (TLS + ", client_auth_type: RequestClientCert}", "RequestClientCert is not honoured"),
        (TLS + ", min_version: TLS10}", "min_version TLS10 is not honoured"),
        (TLS + ", curve_preferences: [CurveP256, X25519]}", "curve_preferences is not honoured"),
    ],
)
def test_what_is_not_honoured_is_said(directory: Path, text: str, note: str) -> None:
    notes = Reading(written(directory, text)).config().notes
    assert len(notes) == 1
    assert note in notes[0]


def test_a_file_that_is_missing_or_no_text_is_said(directory: Path) -> None:
    with pytest.raises(ConfigError, match=rf"cannot read the web configuration .*none.yml: {NO_SUCH_FILE}"):
        Reading(directory / "none.yml").config()
    os.mkfifo(directory / "pipe.yml")
    with pytest.raises(ConfigError, match=r"cannot read the web configuration .*pipe.yml: Not a regular file"):
        Reading(directory / "pipe.yml").config()
    certificate = written(directory, "tls_server_config: {cert_file: pipe.yml, key_file: pipe.yml}")
    with pytest.raises(ConfigError, match=r"cert_file '.*pipe.yml' cannot be read: Not a regular file"):
        Reading(certificate).config()
    (directory / "binary.yml").write_bytes(b"\xff")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        Reading(directory / "binary.yml").config()


def test_without_a_file_there_is_no_tls_and_everybody_may_come_in() -> None:
    assert Reading(None).config() == WebConfig()


def test_a_certificate_can_stand_in_the_file_itself(directory: Path) -> None:
    parts = {name: (directory / f"{name}.pem").read_text().replace("\n", "\n    ") for name in ("cert", "key")}
    text = "tls_server_config:\n" + "".join(f"  {name}: |\n    {part}\n" for name, part in parts.items())
    assert Reading(written(directory, text)).config().tls
    with pytest.raises(ConfigError, match="has both cert and cert_file"):
        Reading(written(directory, text + "\n  cert_file: cert.pem\n")).config()


@pytest.fixture
def live(directory: Path, tmp_path: Path) -> Iterator[tuple[WebConfigWatcher, Path]]:
    for name in ("cert.pem", "key.pem", "ca.pem"):
        shutil.copy(directory / name, tmp_path)
    path = written(tmp_path, TLS + "}")
    config = WebConfigWatcher(Reading(path).config())
    threads = Threads()
    threads.start("web config", config)
    yield config, path
    assert threads.stop(timeout=5) == []


def test_an_edit_is_taken_over(live: tuple[WebConfigWatcher, Path], caplog: pytest.LogCaptureFixture) -> None:
    config, path = live
    before = config.now
    path.write_text(f"{TLS}}}\nbasic_auth_users: {{alice: {HASHED}}}")
    eventually(lambda: config.now is not before, "the new one is there")
    assert config.now.authentication
    assert config.now.tls
    assert caplog.text == ""


def replaced(path: Path, text: str) -> None:
    """Write a file in one step, for half an edit may be right by itself."""
    edited = path.with_suffix(".new")
    edited.write_text(text)
    edited.replace(path)


@pytest.mark.parametrize(
    ("text", "lost"),
    [
        ("", "tls_server_config: {}"),
        ("# nothing\n", "tls_server_config: {}"),
        (f"basic_auth_users: {{alice: {HASHED}}}", "tls_server_config: {}"),
        ("tls_server_config: null", "tls_server_config: {}"),
    ],
)
def test_an_emptied_file_turns_nothing_off(
    live: tuple[WebConfigWatcher, Path], text: str, lost: str, caplog: pytest.LogCaptureFixture
) -> None:
    config, path = live
    before = config.now
    replaced(path, text)
    eventually(lambda: caplog.records, "it is said")
    assert config.now is before
    assert f"let the file say '{lost}'" in caplog.text


def test_what_the_file_says_is_not_wanted_is_turned_off_and_that_is_said_aloud(
    live: tuple[WebConfigWatcher, Path], caplog: pytest.LogCaptureFixture
) -> None:
    config, path = live
    replaced(path, "tls_server_config: {}")
    eventually(lambda: config.now.tls is None, "TLS is off")
    (record,) = caplog.records
    assert (record.levelname, "drops protection dropped=TLS" in record.getMessage()) == ("WARNING", True)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (f"basic_auth_users: {{alice: {HASHED}}}", "", "basic_auth_users: {}"),
        (f"basic_auth_users: {{alice: {HASHED}}}", "basic_auth_users: {}", None),
        (f"basic_auth_users: {{alice: {HASHED}}}", f"basic_auth_users: {{bob: {HASHED}}}", None),
        (CLIENTS, TLS + "}", "client_auth_type: NoClientCert"),
        (CLIENTS, TLS + ", client_auth_type: NoClientCert}", None),
        (TLS + "}", CLIENTS, None),
        ("", "", None),
    ],
)
def test_who_may_come_in_is_not_widened_by_leaving_something_out(
    directory: Path, before: str, after: str, said: str | None
) -> None:
    first, second = (Reading(written(directory, text)).config() for text in (before, after))
    with pytest.raises(ConfigError, match=said) if said else contextlib.nullcontext():
        check_losses(first, second)


@pytest.mark.parametrize(
    ("text", "limit"),
    [
        ("rate_limit: {interval: 1s, burst: 20}", True),
        ("rate_limit: {interval: 0s, burst: 20}", False),
        ("rate_limit: {}", False),
    ],
)
def test_a_rate_limit_is_as_in_prometheus(directory: Path, text: str, *, limit: bool) -> None:
    assert (Reading(written(directory, text)).config().rate_limit is not None) is limit


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("rate_limit: {interval: 1s}", "would refuse every request"),
        ("rate_limit: {interval: often, burst: 1}", "is not a duration"),
        ("rate_limit: {interval: 1s, burst: x}", "is not a whole number"),
    ],
)
def test_a_rate_limit_that_is_none_is_refused(directory: Path, text: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason):
        Reading(written(directory, text)).config()


def test_a_broken_edit_leaves_the_old_one_and_is_said_in_one_line(
    live: tuple[WebConfigWatcher, Path], caplog: pytest.LogCaptureFixture
) -> None:
    config, path = live
    before = config.now
    replaced(path, "nonsense: {}")
    eventually(lambda: caplog.records, "it is said")
    assert config.now is before
    assert [record.message.partition(str(path))[2].rstrip('"') for record in caplog.records] == [
        ":1: unknown key 'nonsense'; there are basic_auth_users, http_server_config, rate_limit, tls_server_config"
    ]


def test_a_new_certificate_is_taken_over_also_when_it_comes_in_two_steps(
    live: tuple[WebConfigWatcher, Path], caplog: pytest.LogCaptureFixture
) -> None:
    config, path = live
    before = config.now
    other = trustme.CA().issue_cert("localhost")
    other.private_key_pem.write_to_path(str(path.parent / "key.pem"))
    eventually(lambda: "do not fit together" in caplog.text, "it is said")
    assert config.now is before
    other.cert_chain_pems[0].write_to_path(str(path.parent / "cert.pem"))
    eventually(lambda: config.now is not before, "the new one is there")
