"""Options of HTTP sources: sizes, TLS, proxies, credentials."""

import re
from dataclasses import dataclass
from typing import NamedTuple

from kuma_sd.core.option_types import BOOL, FILE_NAME, SECRET, SECRET_FILE, SIZE, TEXT, URL, lines_of
from kuma_sd.core.options import OptionType, option
from kuma_sd.core.secret import Secret
from kuma_sd.core.url import Url

# A field name (RFC 9110, 5.1), and a value of visible ASCII characters and spaces.
_HEADER = r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)[ \t]*:[ \t]*([!-~](?:[ \t!-~]*[!-~])?)"

_OF_THE_CONNECTION = ("connection", "content-length", "content-type", "expect", "te", "transfer-encoding", "upgrade")


class Header(NamedTuple):
    """A request header. Its value may be a credential."""

    name: str
    value: Secret


def _parse_header(text: str) -> Header:
    found = re.fullmatch(_HEADER, text.strip())
    if not found:
        raise ValueError("is not a header like 'X-Tenant: monitoring', in visible ASCII and on a line of its own")
    if found[1].lower() in _OF_THE_CONNECTION:
        raise ValueError("cannot be set, since it says how the request itself is to be read")
    return Header(found[1], Secret(found[2]))


def _show_header(header: Header) -> str:
    return f"{header.name}: {header.value}"


HEADER = OptionType("header", _parse_header, _show_header, secret=True)


@dataclass(frozen=True)
class TlsOptions:
    """Options of all that connect with TLS; inherited by their options."""

    tls_ca_file: str = option(
        "", FILE_NAME, "File with the CA certificates to trust, as PEM. If empty, those of the system."
    )
    tls_cert_file: str = option(
        "", FILE_NAME, "File with the client certificate, as PEM, for servers that require one."
    )
    tls_key_file: str = option("", SECRET_FILE, "File with the key of the client certificate, as PEM.")
    tls_insecure_skip_verify: bool = option(False, BOOL, "Do not verify the server's certificate. For tests only.")


@dataclass(frozen=True)
class ClientOptions(TlsOptions):
    """Options of all sources that use HTTP; sources inherit them and add their own."""

    tls_server_name: str = option(
        "", TEXT, "Name that the server's certificate must have, if it differs from the host in the address."
    )
    max_message_size: int = option(2**28, SIZE, "Maximum size of a response. A million targets need some 600MiB.")
    proxy: Url | None = option(None, URL, "URL of an HTTP proxy. If empty, the environment decides (http_proxy, …).")
    header: tuple[Header, ...] = option((), lines_of(HEADER), "Headers to send, one per line, each NAME: VALUE.")
    bearer_token_file: str = option(
        "",
        SECRET_FILE,
        "File with the bearer token for the API server, or for a gateway in front of the control plane: one line of "
        "ASCII.",
    )
    basic_auth_username: str = option("", TEXT, "User name for a gateway in front of the control plane.")
    basic_auth_password: Secret = option(Secret(""), SECRET, "Password of that user.")
