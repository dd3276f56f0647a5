"""What can be set, at both ends of the relay."""

import re
from dataclasses import dataclass

from kuma_sd import BOOL, DURATION, SECRET, SIZE, TEXT, URL, OptionType, Secret, TlsOptions, Url, option, parse_url


def _parse_prefix(text: str) -> str:
    # Braces would move the hash tag, and * ? [ ] would match other prefixes in a pattern.
    if not re.fullmatch(r"[A-Za-z0-9._:/-]+", text):
        raise ValueError("is not a prefix of letters, digits and . _ : / -")
    return text


PREFIX = OptionType("text", _parse_prefix)

_PREFIX_HELP = "What all keys in Redis begin with; publishers and edges of one relay have the same."
_TLS_HELP = "Whether to speak TLS with a Sentinel's or Cluster's servers too; rediss:// says so itself."
_TIMEOUT_HELP = "How long Redis may take to answer, or to be connected to."


@dataclass(frozen=True)
class RedisOutputOptions(TlsOptions):
    """Where to publish, and how to share the work with other publishers."""

    url: Url = option(
        parse_url("redis://localhost:6379"), URL, "Where Redis is: redis, rediss, redis+sentinel or redis+cluster."
    )
    prefix: str = option("kuma-sd", PREFIX, _PREFIX_HELP)
    lease: float = option(10.0, DURATION, "After how long of silence another publisher takes over.", at_least=0.1)
    log_size: int = option(2**15, SIZE, "How many bytes of changes are kept for each of the 1,024 buckets.")
    timeout: float = option(5.0, DURATION, _TIMEOUT_HELP)
    username: str = option("", TEXT, "The user to log in as, if it does not stand in the address.")
    password: Secret = option(Secret(""), SECRET, "The password to log in with.")
    sentinel_password: Secret = option(Secret(""), SECRET, "The password of the Sentinels, if they have one.")
    tls: bool = option(False, BOOL, _TLS_HELP)


@dataclass(frozen=True)
class RedisSourceOptions(TlsOptions):
    """How to follow a relay. These stand beside the options of other control planes, hence their longer names."""

    relay_prefix: str = option("kuma-sd", PREFIX, _PREFIX_HELP)
    relay_look_interval: float = option(30.0, DURATION, "How often to see whether a notification was lost.")
    relay_jitter: float = option(2.0, DURATION, "Over how long edges spread when they must read something again.")
    relay_timeout: float = option(5.0, DURATION, _TIMEOUT_HELP)
    relay_username: str = option("", TEXT, "The user to log in as, if it does not stand in the address.")
    relay_password: Secret = option(Secret(""), SECRET, "The password to log in with.")
    relay_sentinel_password: Secret = option(Secret(""), SECRET, "The password of the Sentinels, if they have one.")
    relay_tls: bool = option(False, BOOL, _TLS_HELP)
