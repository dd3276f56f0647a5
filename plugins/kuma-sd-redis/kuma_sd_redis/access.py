"""How to connect to Redis: one shape for the options of both ends of the relay."""

from dataclasses import dataclass, fields

from kuma_sd import Secret, TlsOptions
from kuma_sd_redis.options import RedisOutputOptions, RedisSourceOptions

# The source's options stand beside those of other sources, which have these in common.
_SHARED = {field.name for field in fields(TlsOptions)}


@dataclass(frozen=True, kw_only=True)
class Access(TlsOptions):
    """How to connect to Redis: besides the options of TLS.

    Args:
        timeout: how long Redis may take to answer, in seconds.
        username: the user to log in as.
        password: its password.
        sentinel_password: the password of the Sentinels.
        tls: whether to speak TLS.
    """

    timeout: float
    username: str
    password: Secret
    sentinel_password: Secret
    tls: bool

    @classmethod
    def of(cls, options: RedisOutputOptions | RedisSourceOptions) -> "Access":
        """Take it from the options of an output or a source."""
        prefix = "relay_" if isinstance(options, RedisSourceOptions) else ""
        names = [field.name for field in fields(cls)]
        return cls(**{name: getattr(options, name if name in _SHARED else prefix + name) for name in names})
