"""Load TLS settings, credentials and headers. Files are read again for each connection."""

import base64
import contextlib
import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kuma_sd.core.errors import ConfigError, SourceError
from kuma_sd.core.regular_file import read_regular
from kuma_sd.core.secret import NOTHING, Secret, parse_secret_file
from kuma_sd.http.options import ClientOptions

if TYPE_CHECKING:
    import ssl


class Access:
    """The credentials for one control plane.

    Args:
        options: the configured options.
        user: ``user:password`` from the address; empty if there is none.

    Raises:
        ConfigError: the token file holds no valid token.
    """

    def __init__(self, options: ClientOptions, user: Secret = NOTHING) -> None:
        self._options = options
        self._user = user
        self._sent = NOTHING
        _check_token(options.bearer_token_file)

    @property
    def files(self) -> list[Path]:
        """The files that each connection reads again."""
        options = self._options
        named = (options.tls_ca_file, options.tls_cert_file, options.tls_key_file, options.bearer_token_file)
        return [Path(name) for name in named if name]

    def without_credentials(self) -> "Access":
        """Return a copy without the credentials, which only the configured address may receive."""
        nothing: dict[str, Any] = {"header": (), "bearer_token_file": "", "basic_auth_username": ""}
        return Access(dataclasses.replace(self._options, **nothing))

    def headers(self) -> dict[str, str]:
        """Return the headers of each request.

        Raises:
            SourceError: the token file cannot be read, or holds no valid token.
        """
        options = self._options
        headers = {header.name: header.value.reveal() for header in options.header}
        if options.basic_auth_username:
            headers["Authorization"] = basic(f"{options.basic_auth_username}:{options.basic_auth_password.reveal()}")
        elif self._user:
            headers["Authorization"] = basic(self._user.reveal())
        elif options.bearer_token_file:
            headers["Authorization"] = f"Bearer {_token(options.bearer_token_file).reveal()}"
        # Known as a secret while it is in use, in the form in which it is sent.
        self._sent = Secret(headers.get("Authorization", "").rpartition(" ")[2])
        return headers

    def ssl_context(self) -> "ssl.SSLContext":
        """Return the TLS settings for HTTPS.

        Raises:
            SourceError: a certificate cannot be used.
        """
        import ssl  # noqa: PLC0415 (imported late: checking settings does not need it)

        options = self._options
        # OpenSSL would wait for the writer of a pipe, and does not say which file is wrong.
        self.pem_files()
        try:
            context = ssl.create_default_context(cafile=options.tls_ca_file or None)
            if options.tls_cert_file:
                context.load_cert_chain(options.tls_cert_file, options.tls_key_file or None)
        except OSError as error:
            raise SourceError(f"tls-ca-file, tls-cert-file or tls-key-file cannot be used: {error}") from error
        if options.tls_insecure_skip_verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        return context

    def pem_files(self) -> tuple[bytes | None, bytes | None, bytes | None]:
        """Return the CA, key and certificates for gRPC, each as PEM or None.

        Raises:
            SourceError: a file cannot be read.
        """
        import ssl  # noqa: PLC0415 (imported late, as above)

        options = self._options
        # Otherwise gRPC trusts its bundled CA list instead of the system's.
        trusted = options.tls_ca_file or ssl.get_default_verify_paths().cafile
        return (
            _read(trusted, "tls-ca-file") if trusted else None,
            _read(options.tls_key_file, "tls-key-file") if options.tls_key_file else None,
            _read(options.tls_cert_file, "tls-cert-file") if options.tls_cert_file else None,
        )


def basic(credentials: str) -> str:
    """Return the Basic authentication header's value for ``user:password``."""
    return "Basic " + base64.b64encode(credentials.encode()).decode()


def _check_token(path: str) -> None:
    """Reject a token file with invalid content when settings are checked.

    A file that cannot be read is accepted: it may be readable when it is needed.

    Raises:
        ConfigError: the file holds no valid token.
    """
    with contextlib.suppress(OSError):
        if path and Path(path).is_file():
            try:
                parse_secret_file(read_regular(Path(path)))
            except ValueError as error:
                raise ConfigError(f"bearer-token-file {path!r} {error}", option="bearer-token-file") from None


def _token(path: str) -> Secret:
    try:
        return parse_secret_file(_read(path, "bearer-token-file"))
    except ValueError as error:
        raise SourceError(f"bearer-token-file {path!r} {error}") from None


def _read(path: str, option: str) -> bytes:
    try:
        return read_regular(Path(path))
    except OSError as error:
        raise SourceError(f"{option} {path!r} cannot be read: {error.strerror}") from error
