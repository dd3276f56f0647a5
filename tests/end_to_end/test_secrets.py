"""No secret is in anything that a command prints: hostile values in every option and file, in every path of errors."""

import re
from pathlib import Path

import pytest
import trustme
from secret_options import FILES, HOSTILE, MARK, OPTIONS, Tried, assert_clean, declared, names_of

from kuma_sd.cli.main import main
from kuma_sd.core.option_types import SECRET_FILE
from kuma_sd.core.options import Option, options_of
from kuma_sd.settings.config_file import write_entry
from kuma_sd.settings.schema import CoreOptions, WebOptions


def test_what_is_called_like_a_secret_is_declared_as_one() -> None:
    for _, tried in declared():
        is_guarded = tried.option.type.secret or tried.option.type is SECRET_FILE
        assert is_guarded or not re.search("password|secret|token|key-file|header", tried.option.name), tried
    for options in (CoreOptions, WebOptions):
        assert not any(option.type.secret or option.type is SECRET_FILE for option in options_of(options))


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


@pytest.mark.parametrize("tried", OPTIONS, ids=names_of(OPTIONS))
def test_checking_settings_shows_no_secret(tried: Tried, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "kuma-sd.conf"
    for secret in HOSTILE:
        for value in written_values(tried.option, secret):
            path.write_text(settings_with(tried, value))
            # What is refused is refused by both in the same words.
            if main(["check", "-c", str(path)]) == 0:
                main(["config", "-c", str(path)])
            assert_clean("".join(capfd.readouterr()), f"{tried.option.name} = {value!r}")


@pytest.mark.parametrize("tried", FILES, ids=names_of(FILES))
def test_the_content_of_a_file_with_a_secret_is_never_shown(
    tried: Tried, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    certificate, path, held = tmp_path / "cert.pem", tmp_path / "kuma-sd.conf", tmp_path / "held"
    issued = trustme.CA().issue_cert("localhost")
    certificate.write_bytes(issued.cert_chain_pems[0].bytes())
    key = issued.private_key_pem.bytes()
    contents = [secret.encode() for secret in HOSTILE]
    contents += [
        b"",
        b"\xff" + MARK.encode(),
        key[:-60] + MARK.encode(),
        key + MARK.encode(),
        key.replace(b"A", b"Qx7"),
    ]
    for content in contents:
        held.write_bytes(content)
        further = f"tls-cert-file = {certificate}\n" if "key" in tried.option.name else ""
        path.write_text(settings_with(tried, str(held)) + further)
        for command in ("check", "config"):
            main([command, "-c", str(path)])
            assert_clean("".join(capfd.readouterr()), f"{command} with {tried.option.name} = {content!r}")


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
