"""The source ``kuma-api``: targets from the API server of a control plane without MADS."""

from collections.abc import Iterable

from kuma_sd import Codec, Context, Source, SourcePlugin, Url, hookimpl
from kuma_sd_bundled.kuma_api.options import ApiOptions


def open_source(address: Url, options: ApiOptions, context: Context) -> Source:
    """Create the source for a control plane; it connects when iterated.

    Raises:
        ConfigError: the address or the options cannot be used.
    """
    # Imported late, so that declaring options loads nothing else.
    from kuma_sd_bundled.kuma_api.source import ApiSource  # noqa: PLC0415

    return ApiSource(address, options, context)


def codec(name: str) -> Codec:
    """Return the codec of targets from the API.

    Raises:
        KeyError: there is no codec of that name.
    """
    from kuma_sd_bundled.kuma_api.api_codec import API_CODEC  # noqa: PLC0415

    return {API_CODEC.name: API_CODEC}[name]


@hookimpl
def kuma_sd_sources() -> Iterable[SourcePlugin]:
    """Describe kuma-api."""
    yield SourcePlugin(
        "kuma-api", schemes=("kuma-api+http", "kuma-api+https"), options=ApiOptions, open=open_source, codec=codec
    )
