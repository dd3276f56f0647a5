"""Serve the list of targets as Prometheus's HTTP SD requires."""

import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

from kuma_sd import Output, Publication, Shard
from kuma_sd_bundled.http_sd.content import CODINGS, Hashes, ServedTargets
from kuma_sd_bundled.http_sd.negotiation import choose_coding, is_known

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

MOST_SHARDS = 1024
"""Maximum number of shards."""

# The body depends on Accept-Encoding, and caches must revalidate.
_ALWAYS = {"Vary": "Accept-Encoding", "Cache-Control": "no-cache"}


class _RefusedError(Exception):
    def __init__(self, status: str, reason: str, **headers: str) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


class HTTPSD(Output):
    """Serves the newest list, in several threads at a time.

    Args:
        path: the path at which the daemon serves it.
    """

    def __init__(self, path: str) -> None:
        self._path = path
        self._content: ServedTargets | None = None
        self._hashes = Hashes()

    def start(self) -> None:
        """Claim nothing: the path is the daemon's."""

    def publish(self, publication: Publication) -> None:
        """Serve this list from now on."""
        if self._content is None or self._content.lines != publication.lines:
            self._content = ServedTargets(publication, self._hashes)

    def close(self) -> None:
        """Do nothing: nothing was claimed."""

    def service_discovery(self, shard: tuple[int, int] | None) -> Mapping[str, Any]:
        """Return the Prometheus settings that read the list, or one shard of it."""
        query = f"?shard={shard[0]}&of={shard[1]}" if shard else ""
        return {"http_sd_configs": [{"url": self._path + query}]}

    def __call__(self, environment: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer a WSGI request."""
        method = environment["REQUEST_METHOD"]
        try:
            status, headers, chunks = self._answer(environment)
        except _RefusedError as refusal:
            text = f"{refusal}\n".encode(errors="replace")
            plain = {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(text))}
            status, headers, chunks = refusal.status, plain | refusal.headers, (text,)
        start_response(status, list(headers.items()))
        return () if method == "HEAD" else chunks

    def _answer(self, environment: "WSGIEnvironment") -> tuple[str, dict[str, str], tuple[bytes, ...]]:
        if environment["REQUEST_METHOD"] not in ("GET", "HEAD"):
            raise _RefusedError("405 Method Not Allowed", "the list is asked for with GET or HEAD", Allow="GET, HEAD")
        shard = _shard(environment.get("QUERY_STRING", ""))
        coding = choose_coding(environment.get("HTTP_ACCEPT_ENCODING", ""), CODINGS)
        if coding is None:
            offered = ", ".join([*CODINGS, "identity"])
            raise _RefusedError("406 Not Acceptable", f"none of these is accepted: {offered}", **_ALWAYS)
        content = self._content
        if content is None:
            # An empty list would remove all targets from Prometheus; after an error it keeps those it has.
            raise _RefusedError("503 Service Unavailable", "no targets are known yet", Retry_After="5")
        etag = content.etag(shard, coding)
        headers = _ALWAYS | {"ETag": etag}
        # Only for conditional requests: Prometheus treats any other 304 as a failure.
        if is_known(etag, environment.get("HTTP_IF_NONE_MATCH", "")):
            return "304 Not Modified", headers, ()
        chunks = content.chunks(shard, coding)
        headers |= {"Content-Type": "application/json", "Content-Length": str(sum(map(len, chunks)))}
        return "200 OK", headers | ({"Content-Encoding": coding} if coding != "identity" else {}), chunks


def _shard(query: str) -> Shard | None:
    """Parse which shard a query asks for; None for the whole list."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=bool(query), max_num_fields=10)
    except ValueError as error:
        raise _bad("the query is not of the form name=value&name=value") from error
    given = dict(pairs)
    unknown = given.keys() - {"shard", "of"}
    if unknown:
        raise _bad(f"{min(unknown)!r} is not asked for here; known are: of, shard")
    if len(given) < len(pairs):
        raise _bad("a name stands in the query twice")
    if not given:
        return None
    number, of = _number(given, "shard"), _number(given, "of")
    if not 1 <= of <= MOST_SHARDS:
        raise _bad(f"of is a number from 1 to {MOST_SHARDS}")
    if number >= of:
        raise _bad(f"shard is counted from 0; the last of {of} is {of - 1}")
    return Shard(number, of)


def _number(given: Mapping[str, str], name: str) -> int:
    if name not in given:
        raise _bad(f"{name} is missing; one shard is asked for like ?shard=2&of=8")
    if not re.fullmatch("[0-9]{1,9}", given[name]):
        raise _bad(f"{name} is no number")
    return int(given[name])


def _bad(reason: str) -> _RefusedError:
    return _RefusedError("400 Bad Request", reason)
