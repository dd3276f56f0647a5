"""How to connect to Redis: one shape for the options of both ends of the relay."""

from dataclasses import dataclass, fields

from kuma_sd import Secret
from kuma_sd_redis.options import RedisOutputOptions, RedisSourceOptions

# The source's options stand beside those of other sources, which have these in common.
_SHARED = ("tls_ca_file", "tls_cert_file", "tls_key_file", "tls_insecure_skip_verify")


@dataclass(frozen=True)
class Access:
    """How to connect to Redis.

    Args:
        timeout: how long Redis may take to answer, in seconds.
        username: the user to log in as.
        password: its password.
        sentinel_password: the password of the Sentinels.
        tls: whether to speak TLS.
        tls_ca_file: the certificates to trust; empty for the system's.
        tls_cert_file: our certificate; empty for none.
        tls_key_file: the key of our certificate.
        tls_insecure_skip_verify: whether to trust any certificate.
    """

    timeout: float
    username: str
    password: Secret
    sentinel_password: Secret
    tls: bool
    tls_ca_file: str
    tls_cert_file: str
    tls_key_file: str
    tls_insecure_skip_verify: bool

    @classmethod
    def of(cls, options: RedisOutputOptions | RedisSourceOptions) -> "Access":
        """Take it from the options of an output or a source."""
        prefix = "relay_" if isinstance(options, RedisSourceOptions) else ""
        names = [field.name for field in fields(cls)]
        return cls(**{name: getattr(options, name if name in _SHARED else prefix + name) for name in names})
