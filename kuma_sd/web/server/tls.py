"""Set up TLS from a web configuration, as far as Python's ssl supports it."""

import contextlib
import ipaddress
import os
import ssl
from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from kuma_sd.core.errors import ConfigError

_VERSIONS = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_OLD_VERSIONS = ("TLS10", "TLS11")

# Go's names (crypto/tls.CipherSuites) and OpenSSL's.
_CIPHERS = {
    f"TLS_{exchange}_WITH_{cipher}": f"{prefix}{name}"
    for exchange, prefix in (("ECDHE_ECDSA", "ECDHE-ECDSA-"), ("ECDHE_RSA", "ECDHE-RSA-"), ("RSA", ""))
    for cipher, name in (
        ("AES_128_GCM_SHA256", "AES128-GCM-SHA256"),
        ("AES_256_GCM_SHA384", "AES256-GCM-SHA384"),
        ("AES_128_CBC_SHA", "AES128-SHA"),
        ("AES_256_CBC_SHA", "AES256-SHA"),
        ("CHACHA20_POLY1305_SHA256", "CHACHA20-POLY1305"),
    )
}
# Those of TLS 1.3 are always on, in Go too.
_CIPHERS_OF_TLS13 = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")

_CURVES = {"CurveP256": "prime256v1", "CurveP384": "secp384r1", "CurveP521": "secp521r1", "X25519": "X25519"}

_CLIENTS = {
    "": ssl.CERT_NONE,
    "NoClientCert": ssl.CERT_NONE,
    # A requested certificate that is not verified gives no security.
    "RequestClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}


class ServerContext(ssl.SSLContext):
    """A TLS context that can also check the names in client certificates."""

    allowed_names: frozenset[str] = frozenset()

    def admits(self, client: ssl.SSLSocket) -> bool:
        """Tell whether a client's certificate has an allowed name, if names are restricted, after the handshake."""
        if not self.allowed_names:
            return True
        certificate = client.getpeercert() or {}
        names: Any = certificate.get("subjectAltName", ())
        return not self.allowed_names.isdisjoint(_normal(name) for _kind, name in names)


class TLSConfig(msgspec.Struct, frozen=True):
    """The section ``tls_server_config``, with the content of files in place of their names; empty if not set."""

    certificate: bytes = b""
    key: bytes = b""
    client_ca: bytes = b""
    client_auth_type: str = ""
    client_allowed_sans: tuple[str, ...] = ()
    min_version: str = ""
    max_version: str = ""
    cipher_suites: tuple[str, ...] = ()
    prefer_server_cipher_suites: bool = True
    curve_preferences: tuple[str, ...] = ()

    def __repr__(self) -> str:
        # Without the key.
        return "TLSConfig(...)"

    def context(self, note: Callable[[str], None]) -> ServerContext | None:
        """Return the TLS context; None for plain HTTP.

        Args:
            note: called with a message for each unsupported setting.

        Raises:
            ConfigError: a setting is invalid, or ignoring it would be less secure than requested.
        """
        if not (self.certificate or self.key or self.client_ca):
            return None
        context = ServerContext(ssl.PROTOCOL_TLS_SERVER)
        self._load_certificate(context)
        self._set_clients(context, note)
        self._set_versions(context, note)
        self._set_ciphers(context, note)
        return context

    def _load_certificate(self, context: ServerContext) -> None:
        if not (self.certificate and self.key):
            raise ConfigError("a certificate and its key belong together: set cert_file and key_file")
        try:
            with _as_file(self.certificate) as certificate, _as_file(self.key) as key:
                # Without a password OpenSSL prompts on the terminal.
                context.load_cert_chain(certificate, key, password="")
        except (ssl.SSLError, ValueError) as error:
            raise ConfigError(
                f"the certificate and the key do not fit together, or are not PEM without a password: {_reason(error)}"
            ) from None

    def _set_clients(self, context: ServerContext, note: Callable[[str], None]) -> None:
        kind = self.client_auth_type
        if kind == "RequireAnyClientCert":
            raise ConfigError("client_auth_type RequireAnyClientCert is not offered; use RequireAndVerifyClientCert")
        if kind not in _CLIENTS:
            raise ConfigError(f"client_auth_type {kind!r} is none; there are {', '.join(filter(None, _CLIENTS))}")
        if kind == "RequestClientCert":
            note("client_auth_type RequestClientCert is not honoured; clients are not asked for certificates")
        context.verify_mode = _CLIENTS[kind]
        if self.client_ca and context.verify_mode is ssl.CERT_NONE:
            raise ConfigError("client_ca_file needs a client_auth_type, like RequireAndVerifyClientCert")
        if self.client_allowed_sans and context.verify_mode is not ssl.CERT_REQUIRED:
            raise ConfigError("client_allowed_sans needs the client_auth_type RequireAndVerifyClientCert")
        context.allowed_names = frozenset(map(_normal, self.client_allowed_sans))
        try:
            if self.client_ca:
                context.load_verify_locations(cadata=self.client_ca.decode("ascii", "replace"))
            elif context.verify_mode is not ssl.CERT_NONE:
                context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
        except (ssl.SSLError, ValueError) as error:
            raise ConfigError(f"client_ca_file holds no certificate in PEM: {_reason(error)}") from None

    def _set_versions(self, context: ServerContext, note: Callable[[str], None]) -> None:
        for name, value in (("min_version", self.min_version), ("max_version", self.max_version)):
            if value not in ("", *_VERSIONS, *_OLD_VERSIONS):
                raise ConfigError(f"{name} {value!r} is none; there are {', '.join(_VERSIONS)}")
        if self.max_version in _OLD_VERSIONS:
            raise ConfigError(f"max_version {self.max_version} is not offered, since it is broken (RFC 8996)")
        if self.min_version in _OLD_VERSIONS:
            note(f"min_version {self.min_version} is not honoured, since it is broken (RFC 8996); TLS12 is the least")
        context.minimum_version = _VERSIONS.get(self.min_version, ssl.TLSVersion.TLSv1_2)
        context.maximum_version = _VERSIONS.get(self.max_version, ssl.TLSVersion.TLSv1_3)
        if context.minimum_version > context.maximum_version:
            raise ConfigError("min_version is above max_version")

    def _set_ciphers(self, context: ServerContext, note: Callable[[str], None]) -> None:
        unknown = [name for name in self.cipher_suites if name not in (*_CIPHERS, *_CIPHERS_OF_TLS13)]
        if unknown:
            raise ConfigError(f"cipher_suites has {unknown[0]!r}, which is none; there are {', '.join(_CIPHERS)}")
        chosen = [_CIPHERS[name] for name in self.cipher_suites if name in _CIPHERS]
        if chosen:
            try:
                context.set_ciphers(":".join(chosen))
            except ssl.SSLError as error:
                raise ConfigError("cipher_suites has none that the OpenSSL of this machine offers") from error
        if not self.prefer_server_cipher_suites:
            context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
        other = [name for name in self.curve_preferences if name not in _CURVES]
        if len(self.curve_preferences) == 1 and not other:
            context.set_ecdh_curve(_CURVES[self.curve_preferences[0]])
        elif self.curve_preferences:
            note(f"curve_preferences is not honoured unless it is one of {', '.join(_CURVES)}; OpenSSL chooses")


@contextlib.contextmanager
def _as_file(content: bytes) -> Iterator[str]:
    """Yield the name of an in-memory file, because Python's ssl reads certificates and keys from files only."""
    descriptor = os.memfd_create("kuma-sd-pem")
    try:
        with open(descriptor, "wb", closefd=False) as file:
            file.write(content)
        yield f"/proc/self/fd/{descriptor}"
    finally:
        os.close(descriptor)


def _reason(error: Exception) -> str:
    return str(getattr(error, "reason", None) or "no certificate in it").lower().replace("_", " ")


def _normal(name: str) -> str:
    try:
        return str(ipaddress.ip_address(name))
    except ValueError:
        return name
