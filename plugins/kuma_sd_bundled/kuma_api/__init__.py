"""The source ``kuma-api``: targets from the API server of a control plane without MADS."""

from kuma_sd import Codec, Context, Source, SourcePlugin, hookimpl
from kuma_sd_bundled.kuma_api.options import ApiOptions


def open_source(options: ApiOptions, context: Context) -> Source:
    """Create the source for a control plane; it connects when iterated.

    Raises:
        ConfigError: the address or the options cannot be used.
    """
    # Imported late, so that declaring options loads nothing else.
    from kuma_sd_bundled.kuma_api.source import ApiSource  # noqa: PLC0415

    return ApiSource(options, context)


def codec(name: str) -> Codec:
    """Return the codec of targets from the API.

    Raises:
        KeyError: there is no codec of that name.
    """
    from kuma_sd_bundled.kuma_api.api_codec import API_CODEC  # noqa: PLC0415

    return {API_CODEC.name: API_CODEC}[name]


@hookimpl
def kuma_sd_source_plugin() -> SourcePlugin:
    """Describe kuma-api."""
    return SourcePlugin(open=open_source, options=ApiOptions, codec=codec)
