"""Parse the URLs in settings, and show them without secrets."""

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from kuma_sd.core.secret import NOTHING, Secret

_SCHEME = re.compile(r"[a-z][a-z0-9+.-]*")

_HOST = re.compile(r"(?:\[[0-9a-zA-Z:.%_-]*\]|[^:\[\]]*)(?::[0-9]{0,5})?")

# Numbers, like that of a shard, are too short for a secret.
_HARMLESS = re.compile(r"[a-z]+=[0-9]{1,4}(?:&[a-z]+=[0-9]{1,4})*")

_ESCAPE = "write '/' in a user or password as %2F, '?' as %3F, '#' as %23 and '@' as %40"


@dataclass(frozen=True, repr=False)
class Url:
    """A parsed URL; as text, the parts that may be secrets are masked.

    Args:
        scheme: like ``https``.
        user_info: ``user:password`` as written; empty if there is none.
        hosts: one or several hosts, separated by commas, each with its port if it has one.
        path: with its leading slash; in a URL without ``//``, everything after the scheme.
        query: everything after the question mark.
        has_hosts: whether it is written with ``//``.
    """

    scheme: str
    user_info: Secret = NOTHING
    hosts: str = ""
    path: str = ""
    query: Secret = NOTHING
    has_hosts: bool = True

    @property
    def user(self) -> str:
        """The user, with percent-encoding resolved."""
        return unquote(self.user_info.reveal().partition(":")[0])

    @property
    def password(self) -> Secret:
        """The password, with percent-encoding resolved."""
        return Secret(unquote(self.user_info.reveal().partition(":")[2]))

    def servers(self, default_port: int) -> list[tuple[str, int]]:
        """Return host and port of each host; an IPv6 address has no brackets.

        Args:
            default_port: the port of hosts that are written without one.

        Raises:
            ValueError: a host is invalid; the message continues a sentence that begins with the URL, and quotes none
                of it.
        """
        # Each host alone: urlsplit rejects several hosts as one invalid host.
        return [_server(part, default_port) for part in self.hosts.split(",")]

    def reveal(self) -> str:
        """Return the URL as it was written, with its secrets."""
        return self._written(self.user_info.reveal(), self.query.reveal())

    def __str__(self) -> str:
        query = self.query.reveal()
        return self._written(str(self.user_info), query if _HARMLESS.fullmatch(query) else str(self.query))

    def __repr__(self) -> str:
        return f"Url({str(self)!r})"

    def _written(self, user_info: str, query: str) -> str:
        authority = f"//{user_info}{'@' if user_info else ''}{self.hosts}" if self.has_hosts else ""
        return f"{self.scheme}:{authority}{self.path}{'?' if query else ''}{query}"


def _server(text: str, default_port: int) -> tuple[str, int]:
    try:
        parts = urlsplit(f"//{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        # The original message may quote a password whose '@host' is missing.
        raise ValueError("has a host or a port that is none") from None
    if not host:
        raise ValueError("names no host")
    if not host.isascii():
        raise ValueError("has a host that is not ASCII (its ASCII form begins with xn--)")
    if port == 0:
        raise ValueError("has the port 0, at which nothing can listen")
    return host, port or default_port


def parse_url(text: str) -> Url:
    """Parse a URL.

    Raises:
        ValueError: it is not a URL; the message continues a sentence that begins with the URL, and quotes none of it.
    """
    scheme, colon, rest = text.partition(":")
    if not colon or not _SCHEME.fullmatch(scheme):
        raise ValueError("has no scheme; it is written like grpc://host:5676")
    if any(character.isspace() or not character.isprintable() for character in rest):
        raise ValueError("holds a blank or a control character; write a blank in a password as %20")
    if not rest.startswith("//"):
        if re.search("[@?#]", rest):
            raise ValueError(
                "has no '//'; it is written like http://user:password@host, in a path '@' is %40, '?' %3F and '#' %23"
            )
        return Url(scheme, path=rest, has_hosts=False)
    authority = re.split("[/?#]", rest[2:], maxsplit=1)[0]
    behind = rest[2 + len(authority) :]
    if "@" in behind or authority.count("@") > 1:
        raise ValueError(f"has an '@' too much: {_ESCAPE}")
    if "#" in behind:
        raise ValueError(f"has a '#': {_ESCAPE}")
    user_info, _, hosts = authority.rpartition("@")
    if not all(map(_HOST.fullmatch, hosts.split(","))):
        raise ValueError("has a host or a port that is none; it is written like grpc://host:5676")
    path, _, query = behind.partition("?")
    return Url(scheme, Secret(user_info), hosts, path, Secret(query))
