"""WSGI application: route requests to handlers, and return errors for all others."""

import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl

import msgspec

from kuma_sd.core.errors import ConfigError, KumaSDError
from kuma_sd.core.logger import Logger
from kuma_sd.system.log_format import escape

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIApplication, WSGIEnvironment

_log = Logger(__name__)

LARGEST_BODY = 2**16
"""Maximum size of a request body, in bytes."""


class Request(msgspec.Struct, frozen=True):
    """A request.

    Args:
        method: like ``POST``.
        path: without the query.
        query: its values by name; only names that the route accepts, each at most once.
        body: the request body.
        headers: by name in lower case.
    """

    method: str
    path: str
    query: Mapping[str, str] = msgspec.field(default_factory=dict)
    body: bytes = b""
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)


class Response(msgspec.Struct, frozen=True):
    """A response.

    Args:
        body: the content, or its pieces, which are generated while they are sent, so that a large body is never in
            memory as a whole.
        status: the HTTP status.
        content_type: the header Content-Type.
        headers: further headers.
    """

    body: bytes | Iterable[bytes]
    status: int = 200
    content_type: str = "text/plain; charset=utf-8"
    headers: Mapping[str, str] = msgspec.field(default_factory=dict)

    @classmethod
    def lines(cls, *lines: str, status: int = 200, headers: Mapping[str, str] | None = None) -> "Response":
        """Return a response with lines of text; characters that are not printable are escaped."""
        text = "".join(f"{escape(line)}\n" for line in lines)
        return cls(text.encode(errors="replace"), status, headers=headers or {})


class Refused(Exception):  # noqa: N818 (a client's error, not the daemon's)
    """Raised by handlers to answer with an error status and a reason.

    Args:
        status: the HTTP status.
        reason: one line.
        headers: further headers.
    """

    def __init__(self, status: int, reason: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(reason)
        self.status = status
        self.headers = headers or {}


Handler = Callable[[Request], Response]


class Application:
    """Routes each request to the handler of its path.

    Handlers run in the listeners' threads, several at the same time. A GET handler also answers HEAD.

    Args:
        served: returns the handlers of plugins by path; called for each request.
    """

    def __init__(self, served: "Callable[[], Mapping[str, WSGIApplication]]" = dict) -> None:
        self._served = served
        self._routes: dict[str, dict[str, tuple[Handler, Collection[str]]]] = {}
        self._reported: set[tuple[str, str]] = set()

    def add(self, method: str, path: str, handler: Handler, query: Collection[str] = ()) -> None:
        """Add a route.

        Args:
            method: like ``POST``.
            path: the whole path, with a leading slash.
            handler: answers requests. If it raises KumaSDError, the message is the response; ConfigError means that the
                request is wrong.
            query: the allowed query parameters; requests with others are rejected.
        """
        self._routes.setdefault(path, {})[method] = handler, query

    def __call__(self, environment: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        """Answer a request (the WSGI entry point)."""
        method, path = environment["REQUEST_METHOD"], environment.get("PATH_INFO", "")
        plugin = None if path in self._routes else self._served().get(path)
        if plugin is None:
            return send(self._answer(environment), method, start_response)
        try:
            return plugin(environment, start_response)
        except (Exception, SystemExit) as error:  # noqa: BLE001 (the boundary to plugins)
            # The plugin may have started its response.
            failure = sys.exc_info()
            return send(
                self._failed(path, error), method, lambda status, headers: start_response(status, headers, failure)
            )

    def _answer(self, environment: "WSGIEnvironment") -> Response:
        method, path = environment["REQUEST_METHOD"], environment.get("PATH_INFO", "")
        try:
            handler, names = self._route(method, path)
            query = _query(environment.get("QUERY_STRING", ""), names)
            return handler(Request(method, path, query, _body(environment), _headers(environment)))
        except Refused as refusal:
            return Response.lines(str(refusal), status=refusal.status, headers=refusal.headers)
        except ConfigError as error:
            return Response.lines(str(error), status=400)
        except KumaSDError as error:
            return Response.lines(str(error), status=500)
        except (Exception, SystemExit) as error:  # noqa: BLE001 (an error in a handler must not stop the daemon)
            return self._failed(path, error)

    def _route(self, method: str, path: str) -> tuple[Handler, Collection[str]]:
        methods = self._routes.get(path)
        if methods is None:
            raise Refused(404, f"there is no {path}; there are {', '.join(sorted({*self._routes, *self._served()}))}")
        if method == "HEAD" and "GET" in methods:
            return methods["GET"]
        if method not in methods:
            allowed = ", ".join(sorted({*methods, "HEAD"} if "GET" in methods else methods))
            raise Refused(405, f"{path} is asked for with {allowed}", {"Allow": allowed})
        return methods[method]

    def _failed(self, path: str, error: BaseException) -> Response:
        # Log each kind once, since clients may repeat requests; the number of paths and types is limited.
        problem = path, type(error).__name__
        if problem not in self._reported:
            self._reported.add(problem)
            _log.error("request failed", error=error, path=path, reason=f"{type(error).__name__}: {error}")
        return Response.lines("internal error; the log says more", status=500)


def send(
    response: Response, method: str, start_response: "Callable[[str, list[tuple[str, str]]], object]"
) -> Iterable[bytes]:
    """Send a response through WSGI.

    Args:
        response: the response.
        method: the request's method.
        start_response: WSGI's callable.
    """
    headers, pieces = {"Content-Type": response.content_type}, response.body
    if isinstance(pieces, bytes):
        headers, pieces = headers | {"Content-Length": str(len(pieces))}, [pieces]
    phrase = HTTPStatus(response.status).phrase
    start_response(f"{response.status} {phrase}", list((headers | dict(response.headers)).items()))
    return [] if method == "HEAD" else pieces


def _query(text: str, names: Collection[str]) -> dict[str, str]:
    try:
        pairs = parse_qsl(text, keep_blank_values=True, strict_parsing=bool(text), errors="strict", max_num_fields=100)
    except ValueError as error:
        raise Refused(400, "the query is not of the form name=value&name=value") from error
    query = dict(pairs)
    unknown = query.keys() - set(names)
    if unknown:
        raise Refused(400, f"{min(unknown)!r} is not asked for here; known are: {', '.join(sorted(names)) or 'none'}")
    if len(query) < len(pairs):
        raise Refused(400, "a name stands in the query twice")
    return query


def _headers(environment: "WSGIEnvironment") -> dict[str, str]:
    fields = {name[5:]: value for name, value in environment.items() if name.startswith("HTTP_")}
    return {name.replace("_", "-").lower(): value for name, value in fields.items()}


def _body(environment: "WSGIEnvironment") -> bytes:
    length = environment.get("CONTENT_LENGTH") or "0"
    if not length.isdecimal():
        raise Refused(400, "Content-Length is no number")
    if int(length) > LARGEST_BODY:
        raise Refused(413, f"the body is larger than {LARGEST_BODY} bytes")
    body: bytes = environment["wsgi.input"].read(int(length))
    return body
