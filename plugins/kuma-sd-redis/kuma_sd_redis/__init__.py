"""The relay: an output that publishes into Redis, and a source that follows it, at any number of edges.

layout.py describes the data in Redis. This module declares options and loads nothing else.
"""

from kuma_sd import Codec, Context, Output, OutputPlugin, Source, SourcePlugin, hookimpl
from kuma_sd_redis.options import RedisOutputOptions, RedisSourceOptions


def open_output(options: RedisOutputOptions, context: Context) -> Output:
    """Make an output; it connects when it is started.

    Raises:
        ConfigError: the options cannot be used.
    """
    # Late, here and below, so that declaring options does not load redis.
    from kuma_sd_redis.output import RedisOutput  # noqa: PLC0415

    return RedisOutput(options, context)


def open_source(options: RedisSourceOptions, context: Context) -> Source:
    """Make a source; it connects when it is iterated.

    Raises:
        ConfigError: the address or the options cannot be used.
    """
    from kuma_sd_redis.source import RedisSource  # noqa: PLC0415

    return RedisSource(options, context)


def codec(name: str) -> Codec:
    """Return the codec of what comes out of a relay.

    Raises:
        KeyError: there is none of that name.
    """
    from kuma_sd_redis.codec import GROUP  # noqa: PLC0415

    return {GROUP.name: GROUP}[name]


OUTPUT = OutputPlugin(open=open_output, options=RedisOutputOptions)
SOURCE = SourcePlugin(open=open_source, options=RedisSourceOptions, codec=codec)


@hookimpl
def kuma_sd_output_plugin() -> OutputPlugin:
    """Describe the publisher's side."""
    return OUTPUT


@hookimpl
def kuma_sd_source_plugin() -> SourcePlugin:
    """Describe the edge's side."""
    return SOURCE
