"""The relay: an output that publishes into Redis, and a source that follows it, at any number of edges.

layout.py describes the data in Redis. This module declares options and loads nothing else.
"""

from collections.abc import Iterable

from kuma_sd import Codec, Context, Output, OutputPlugin, Source, SourcePlugin, Url, hookimpl
from kuma_sd_redis.options import RedisOutputOptions, RedisSourceOptions


def open_output(options: RedisOutputOptions, context: Context) -> Output:
    """Make an output; it connects when it is started.

    Raises:
        ConfigError: the options cannot be used.
    """
    # Late, here and below, so that declaring options does not load redis.
    from kuma_sd_redis.output import RedisOutput  # noqa: PLC0415

    return RedisOutput(options, context)


def open_source(address: Url, options: RedisSourceOptions, context: Context) -> Source:
    """Make a source; it connects when it is iterated.

    Raises:
        ConfigError: the address or the options cannot be used.
    """
    from kuma_sd_redis.source import RedisSource  # noqa: PLC0415

    return RedisSource(address, options, context)


def codec(name: str) -> Codec:
    """Return the codec of what comes out of a relay.

    Raises:
        KeyError: there is none of that name.
    """
    from kuma_sd_redis.codec import GROUP  # noqa: PLC0415

    return {GROUP.name: GROUP}[name]


SCHEMES = ("redis", "rediss", "redis+sentinel", "redis+cluster")

OUTPUT = OutputPlugin("redis", open=open_output, options=RedisOutputOptions)
SOURCE = SourcePlugin("redis", SCHEMES, open=open_source, options=RedisSourceOptions, codec=codec)


@hookimpl
def kuma_sd_outputs() -> Iterable[OutputPlugin]:
    """Describe the publisher's side."""
    yield OUTPUT


@hookimpl
def kuma_sd_sources() -> Iterable[SourcePlugin]:
    """Describe the edge's side."""
    yield SOURCE
