"""MADS, Kuma's Monitoring Assignment Discovery Service, as a source plugin. Nothing else knows of MADS."""

from dataclasses import dataclass

from kuma_sd.core.model import Codec
from kuma_sd.core.option_types import BOOL, DURATION, TEXT, choice
from kuma_sd.core.options import option
from kuma_sd.http.options import ClientOptions
from kuma_sd.plugin.context import Context
from kuma_sd.plugin.hookspecs import hookimpl
from kuma_sd.plugin.interfaces import Source, SourcePlugin


@dataclass(frozen=True)
class MadsOptions(ClientOptions):
    """Options of control planes."""

    name: str = option(
        "kuma_sd",
        TEXT,
        "Name of this client (node id). Kuma 2.6 and later select assignments by it: it is clientId in a MeshMetric.",
    )
    api_version: str = option("auto", choice("auto", "v1", "v1alpha1"), "Version of MADS. auto tries the newest first.")
    transport: str = option("auto", choice("auto", "grpc", "http"), "Transport of MADS. auto tries gRPC first.")
    fetch_timeout: float = option(
        30.0, DURATION, "Over HTTP: how long the control plane may hold a request before it answers."
    )
    allow_plaintext: bool = option(
        False, BOOL, "Allow an https or grpcs address of an API server to lead to MADS without TLS (Kuma before 2.0)."
    )


def open_source(options: MadsOptions, context: Context) -> Source:
    """Create the source of a control plane."""
    # Imported late, so that declaring options loads little.
    from kuma_sd.mads.source import MadsSource  # noqa: PLC0415

    return MadsSource(context.address.reveal(), options, context.name)


def codec(name: str) -> Codec:
    """Return a MADS codec by its name.

    Raises:
        KeyError: no codec has that name.
    """
    # Imported late: they load protobuf.
    from kuma_sd.mads.codecs.v1 import V1_PROTOBUF  # noqa: PLC0415
    from kuma_sd.mads.codecs.v1_json import V1_JSON  # noqa: PLC0415
    from kuma_sd.mads.codecs.v1alpha1 import V1ALPHA1_PROTOBUF  # noqa: PLC0415

    return {known_codec.name: known_codec for known_codec in (V1_PROTOBUF, V1_JSON, V1ALPHA1_PROTOBUF)}[name]


@hookimpl
def kuma_sd_source_plugin() -> SourcePlugin:
    """Describe MADS over gRPC and HTTP."""
    return SourcePlugin(open=open_source, options=MadsOptions, codec=codec)
