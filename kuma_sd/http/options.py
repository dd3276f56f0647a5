"""How to talk to a server over HTTP: sizes, TLS, proxies, credentials."""

import re
from dataclasses import dataclass

from kuma_sd.core.options import BOOL, SECRET, SIZE, TEXT, OptionType, Secret, list_of, option

# A token, as RFC 9110 (5.6.2) has it.
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

_OF_THE_CONNECTION = ("connection", "content-length", "content-type", "expect", "te", "transfer-encoding", "upgrade")


def _parse_header(text: str) -> tuple[str, str]:
    name, colon, value = (part.strip() for part in text.partition(":"))
    if not colon or not _HEADER_NAME.fullmatch(name):
        raise ValueError("is not a header like X-Tenant:monitoring")
    if not (value.isascii() and value.isprintable()):
        raise ValueError("holds a character that no header can have; only printable ASCII can be sent")
    if name.lower() in _OF_THE_CONNECTION:
        raise ValueError("cannot be set, since it says how the request itself is to be read")
    return name, value


HEADER = OptionType("header", _parse_header, ":".join)


@dataclass(frozen=True)
class ClientOptions:
    """What every source that asks over HTTP can be told; sources inherit it and add their own."""

    max_message_size: int = option(2**30, SIZE, "The largest response that is accepted; larger ones are refused.")
    tls_ca_file: str = option("", TEXT, "The certificates to trust, as PEM; empty for the system's.")
    tls_cert_file: str = option("", TEXT, "Our certificate, as PEM, for servers that want one.")
    tls_key_file: str = option("", TEXT, "The key of our certificate, as PEM.")
    tls_server_name: str = option("", TEXT, "The name that the server's certificate must hold, if not its host's.")
    tls_insecure_skip_verify: bool = option(False, BOOL, "Trust any certificate; for trying things out only.")
    proxy: str = option("", TEXT, "The URL of an HTTP proxy; empty for what the environment says (http_proxy, …).")
    header: tuple[tuple[str, str], ...] = option((), list_of(HEADER), "Headers to send, each NAME:VALUE.")
    bearer_token_file: str = option("", TEXT, "A file with a token to log in with at a gateway.")
    basic_auth_username: str = option("", TEXT, "A user to log in as at a gateway.")
    basic_auth_password: Secret = option(Secret(""), SECRET, "The password of that user.")
