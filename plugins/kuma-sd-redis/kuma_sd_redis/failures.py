"""Explain why Redis failed, in our own words: a server may send back what it was sent, a password among it."""

import os
import re
import ssl

from redis import exceptions
from redis.sentinel import MasterNotFoundError

from kuma_sd import KumaSDError, certificate_shown

# What a text of Redis or redis-py begins with or holds, and what it means.
_TEXTS = (
    (r"WRONGPASS|[Ii]nvalid username-password|[Ii]nvalid password", "it rejects user or password"),
    (r"NOAUTH|[Aa]uthentication required", "it requires a password"),
    (r"unknown command|unknown subcommand", "it does not know a command: is it Redis, and new enough?"),
    (r"READONLY|read only replica", "it is a replica, which cannot be written"),
    (r"\bOOM\b|maxmemory", "its memory is full"),
    (r"MISCONF", "it refuses writes, since it cannot save to disk"),
    (r"MASTERDOWN", "it is a replica without its primary"),
    (r"CLUSTERDOWN|[Hh]ash slot not served", "the Cluster is down"),
    (r"NOREPLICAS", "it refuses writes, since it has too few replicas"),
    (r"BUSY\b|[Bb]usy running a script", "it is busy with a script"),
    (r"max number of clients", "it has too many clients"),
    (r"WRONGTYPE|wrong kind of value", "a key holds something else; is the prefix used by something else?"),
    (r"DB index is out of range", "it has no such database"),
)

BROKEN_REPLY = (AttributeError, ValueError, TypeError, LookupError, RecursionError)
"""What redis-py raises, or our reading of a reply, if that has another shape than Redis gives it, or is cut off."""

NOT_REDIS = "its answer is not one of Redis"

# Which kind of error it is, where no text is known. A subclass comes before its base.
_KINDS: tuple[tuple[type[BaseException], str], ...] = (
    (MasterNotFoundError, "no Sentinel can be reached that knows a primary of this name"),
    (exceptions.BusyLoadingError, "it is loading its data"),
    (exceptions.AuthenticationError, "it rejects user or password"),
    (exceptions.InvalidResponse, NOT_REDIS),
    (exceptions.ClusterDownError, "the Cluster is down"),
    (exceptions.RedisClusterException, "the Cluster cannot be used, or none of its servers can be reached"),
    (exceptions.TimeoutError, "it does not answer in time"),
    (TimeoutError, "it does not answer in time"),
    (exceptions.ResponseError, "it refuses a command"),
    (TypeError, NOT_REDIS),
    (LookupError, NOT_REDIS),
    (RecursionError, NOT_REDIS),
)

_MAY_NOT = re.compile(r"permissions? to run the '([a-z|]{2,24})'")

_COMMANDS = frozenset(
    [
        *("auth", "hello", "ping", "select", "client|setname", "client|setinfo", "command", "cluster|slots", "asking"),
        *("eval", "evalsha", "script|load", "get", "set", "del", "incr", "pexpire", "pttl"),
        *("hgetall", "hset", "hdel", "hscan", "xadd", "xrange"),
        *("publish", "spublish", "subscribe", "psubscribe", "ssubscribe"),
    ]
)


def explained(error: BaseException) -> str:
    """Return why Redis failed; nothing of it is quoted. An error of ours says so already."""
    if isinstance(error, KumaSDError):
        return str(error)
    if isinstance(error, exceptions.NoPermissionError):
        return _missing_right(str(error))
    texts = [str(link) for link in _chain(error)]
    for pattern, words in _TEXTS:
        if any(re.search(pattern, text) for text in texts):
            return words
    for link in _chain(error):
        if isinstance(link, ssl.SSLError):
            return _tls_fails(link)
        if isinstance(link, OSError) and link.errno:
            return os.strerror(link.errno) if link.errno > 0 else "its name does not resolve"
    known = (words for link in _chain(error) for kind, words in _KINDS if isinstance(link, kind))
    return next(known, "the connection was closed")


def _tls_fails(error: ssl.SSLError) -> str:
    if not isinstance(error, ssl.SSLCertVerificationError):
        # OpenSSL's name of the reason, like WRONG_VERSION_NUMBER.
        return f"TLS fails: {(error.reason or 'the connection was closed').lower().replace('_', ' ')}"
    return f"TLS fails: {certificate_shown(error)}"


def _missing_right(text: str) -> str:
    found = _MAY_NOT.search(text)
    if found and found[1] in _COMMANDS:
        return f"its user may not use {found[1].upper().replace('|', ' ')}: see the rights that kuma-sd needs"
    what = "channel" if "channel" in text else "key" if "key" in text else "command"
    return f"its user may not use a {what} that is needed: see the rights that kuma-sd needs"


def _chain(error: BaseException) -> list[BaseException]:
    """Return an error and those behind it, the outermost first."""
    links: list[BaseException] = []
    link: BaseException | None = error
    while link and link not in links:
        links.append(link)
        link = link.__cause__ or link.__context__
    return links
