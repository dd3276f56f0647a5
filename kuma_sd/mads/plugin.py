"""MADS, Kuma's Monitoring Assignment Discovery Service, as a source plugin. Nothing else knows of MADS."""

from collections.abc import Iterable
from dataclasses import dataclass

from kuma_sd.plugin.hookspecs import hookimpl
from kuma_sd.plugin.interfaces import Context, Source, SourcePlugin
from kuma_sd.core.model import Codec
from kuma_sd.core.options import BOOL, DURATION, SECRET, SIZE, TEXT, OptionType, Secret, choice, list_of, option


def _parse_header(text: str) -> tuple[str, str]:
    name, colon, value = text.partition(":")
    if not colon or not name.strip() or any(ord(character) < 32 for character in text):  # noqa: PLR2004 (control)
        raise ValueError("is not a header like X-Tenant:monitoring")
    return name.strip(), value.strip()


HEADER = OptionType("header", _parse_header, ":".join)


@dataclass(frozen=True)
class MadsOptions:
    """How to talk to control planes."""

    name: str = option("kuma_sd", TEXT, "The client's name (node id); Kuma 2.6 and later select assignments by it.")
    api_version: str = option(
        "auto", choice("auto", "v1", "v1alpha1"), "The version of MADS to speak; auto asks for the newest first."
    )
    transport: str = option("auto", choice("auto", "grpc", "http"), "What to speak it over; auto tries gRPC first.")
    fetch_timeout: float = option(30.0, DURATION, "Over HTTP: how long the control plane may hold a request.")
    max_message_size: int = option(2**30, SIZE, "The largest response that is accepted; larger ones are refused.")
    allow_plaintext: bool = option(
        False,
        BOOL,
        "Whether an https or grpcs address of an API server may lead to MADS without TLS (Kuma before 2.0).",
    )
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


def open_source(address: str, options: MadsOptions, context: Context) -> Source:
    """Make the source of a control plane."""
    # Late, so that declaring options loads no more than that.
    from kuma_sd.mads.source import MadsSource  # noqa: PLC0415

    return MadsSource(address, options, context.name)


def codec(name: str) -> Codec:
    """Return one of the codecs of MADS.

    Raises:
        KeyError: there is none of that name.
    """
    # Late, since they load protobuf.
    from kuma_sd.mads.codecs.v1 import V1_PROTOBUF  # noqa: PLC0415
    from kuma_sd.mads.codecs.v1_json import V1_JSON  # noqa: PLC0415
    from kuma_sd.mads.codecs.v1alpha1 import V1ALPHA1_PROTOBUF  # noqa: PLC0415

    return {one.name: one for one in (V1_PROTOBUF, V1_JSON, V1ALPHA1_PROTOBUF)}[name]


@hookimpl
def kuma_sd_sources() -> Iterable[SourcePlugin]:
    """MADS over gRPC and HTTP."""
    yield SourcePlugin(
        "mads", schemes=("grpc", "grpcs", "http", "https"), options=MadsOptions, open=open_source, codec=codec
    )
