"""Requests find their handlers, and everybody else gets a line that says why."""

import io
from typing import Any
from wsgiref.validate import validator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuma_sd import ConfigError, OutputError
from kuma_sd.web.application import LARGEST_BODY, Application, Refused, Request, Response
from kuma_sd.web.endpoints.control import add_control
from kuma_sd.web.paths import is_reserved


def ask(
    application: Application, method: str, path: str, query: str = "", body: bytes = b"", **environment: str
) -> tuple[str, dict[str, str], str]:
    """Call the application as a server does, with a validator of WSGI in between."""
    told: list[Any] = []
    whole = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": query,
        "SERVER_NAME": "localhost",
        "SERVER_PORT": "80",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "CONTENT_LENGTH": str(len(body)),
        "wsgi.version": (1, 0),
        "wsgi.url_scheme": "http",
        "wsgi.input": io.BytesIO(body),
        "wsgi.errors": io.StringIO(),
        "wsgi.multithread": True,
        "wsgi.multiprocess": False,
        "wsgi.run_once": False,
        **environment,
    }
    answer = validator(application)(whole, lambda status, headers, *_: told.extend([status, headers]))  # type: ignore[arg-type]
    content = b"".join(answer)
    answer.close()  # type: ignore[attr-defined]
    return told[-2], dict(told[-1]), content.decode()


def echo(request: Request) -> Response:
    return Response.lines(request.method, request.path, str(dict(request.query)), request.body.decode())


@pytest.fixture
def application() -> Application:
    application = Application()
    application.add("POST", "/echo", echo, query=["name", "other"])
    application.add("PUT", "/echo", echo)
    application.add("GET", "/", lambda _request: Response(b"{}", content_type="application/json", headers={"X-A": "b"}))
    return application


def test_a_request_gets_to_the_handler_of_its_path_and_method(application: Application) -> None:
    status, headers, text = ask(application, "POST", "/echo", "name=a%20b", b"content")
    assert status == "200 OK"
    assert headers == {"Content-Type": "text/plain; charset=utf-8", "Content-Length": str(len(text))}
    assert text == "POST\n/echo\n{'name': 'a b'}\ncontent\n"


def test_a_handler_chooses_type_and_headers(application: Application) -> None:
    status, headers, text = ask(application, "GET", "/")
    assert (status, text) == ("200 OK", "{}")
    assert headers == {"Content-Type": "application/json", "Content-Length": "2", "X-A": "b"}


def test_an_unknown_path_is_told_what_there_is(application: Application) -> None:
    status, _, text = ask(application, "GET", "/ech\x1bo")
    assert status == "404 Not Found"
    assert text == "there is no /ech\\u001bo; there are /, /echo\n"


def test_another_method_is_told_which_there_are(application: Application) -> None:
    status, headers, text = ask(application, "GET", "/echo")
    assert status == "405 Method Not Allowed"
    assert headers["Allow"] == "POST, PUT"
    assert text == "/echo is asked for with POST, PUT\n"


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("nam=x", "'nam' is not asked for here; known are: name, other"),
        ("name=x&name=y", "a name stands in the query twice"),
        ("name", "the query is not of the form name=value&name=value"),
        ("name=%ff", "the query is not of the form name=value&name=value"),
        ("&".join(["name=x"] * 101), "the query is not of the form name=value&name=value"),
    ],
)
def test_a_query_that_is_not_understood_is_refused(application: Application, query: str, reason: str) -> None:
    assert ask(application, "POST", "/echo", query)[::2] == ("400 Bad Request", f"{reason}\n")


def test_an_empty_value_is_a_value(application: Application) -> None:
    assert "{'name': ''}" in ask(application, "POST", "/echo", "name=")[2]


def test_a_large_body_is_refused_unread(application: Application) -> None:
    assert ask(application, "POST", "/echo", body=bytes(LARGEST_BODY))[0] == "200 OK"
    status, _, text = ask(application, "POST", "/echo", body=bytes(LARGEST_BODY + 1))
    assert (status.split()[0], text) == ("413", "the body is larger than 65536 bytes\n")


@pytest.mark.parametrize("length", ["-1", "1e3", "x"])
def test_a_length_that_is_none_is_refused(application: Application, length: str) -> None:
    with io.BytesIO() as body:
        environment: Any = {"REQUEST_METHOD": "PUT", "PATH_INFO": "/echo", "CONTENT_LENGTH": length, "wsgi.input": body}
        told: list[str] = []
        application(environment, lambda status, *_: told.append(status))  # type: ignore[arg-type]
    assert told == ["400 Bad Request"]


def raising(error: Exception) -> Application:
    def fail(_request: Request) -> Response:
        raise error

    application = Application()
    application.add("GET", "/", fail)
    return application


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (Refused(403, "not you"), "403 Forbidden"),
        (ConfigError("not you"), "400 Bad Request"),
        (OutputError("not you"), "500 Internal Server Error"),
    ],
)
def test_what_is_expected_is_told_and_not_logged(
    error: Exception, status: str, caplog: pytest.LogCaptureFixture
) -> None:
    assert ask(raising(error), "GET", "/")[::2] == (status, "not you\n")
    assert caplog.text == ""


def test_what_is_unexpected_is_logged_once_with_its_traceback_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    application = raising(ZeroDivisionError("a secret"))
    for _ in range(3):
        status, _, text = ask(application, "GET", "/")
        assert (status, text) == ("500 Internal Server Error", "internal error; the log says more\n")
    assert caplog.text.count('request failed path=/ reason="ZeroDivisionError: a secret') == 1
    assert caplog.text.count("Traceback") == 1


@given(st.text(), st.text(), st.text(st.characters(codec="latin-1")))
def test_whatever_is_asked_something_is_answered(method: str, query: str, path: str) -> None:
    application = Application()
    application.add("GET", "/", lambda _request: Response.lines("yes"), query=["a"])
    told: list[str] = []
    environment: Any = {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query, "wsgi.input": io.BytesIO()}
    application(environment, lambda status, *_: told.append(status))  # type: ignore[arg-type]
    assert told[0][:3] in ("200", "400", "404", "405")


@pytest.fixture
def control() -> Application:
    def accept(name: str | None) -> list[str]:
        held = {"east": 3, "west": 0}
        return [f"{item}: releasing {held[item]} held targets" for item in ([name] if name else held)]

    application = Application()
    add_control(application, accept, lambda: ["reloaded"])
    return application


def test_accepting_answers_with_a_line_for_each_control_plane(control: Application) -> None:
    text = "east: releasing 3 held targets\nwest: releasing 0 held targets\n"
    assert ask(control, "POST", "/-/accept")[::2] == ("200 OK", text)


def test_accepting_for_one_control_plane(control: Application) -> None:
    text = "east: releasing 3 held targets\n"
    assert ask(control, "POST", "/-/accept", "control-plane=east")[::2] == ("200 OK", text)


def test_accepting_for_an_unknown_control_plane_is_refused(control: Application) -> None:
    status, _, text = ask(control, "POST", "/-/accept", "control-plane=north")
    assert (status, text) == ("404 Not Found", "there is no control plane or output 'north'\n")


def test_reloading(control: Application) -> None:
    assert ask(control, "POST", "/-/reload")[::2] == ("200 OK", "reloaded\n")


def test_looking_changes_nothing(control: Application) -> None:
    assert ask(control, "GET", "/-/accept")[0] == "405 Method Not Allowed"


def serving(*, failing: bool = False) -> Application:
    def plugin(environment: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("Content-Type", "text/plain")])
        if failing:
            raise ZeroDivisionError
        return [environment["PATH_INFO"].encode()]

    application = Application(lambda: {"/sd": plugin, "/": plugin})
    application.add("GET", "/", lambda _request: Response.lines("ours"))
    return application


def test_what_plugins_serve_is_looked_up_for_each_request() -> None:
    present: dict[str, Any] = {}
    application = Application(lambda: present)
    assert ask(application, "GET", "/sd")[0] == "404 Not Found"
    present.update(serving()._served())
    assert ask(application, "GET", "/sd")[::2] == ("200 OK", "/sd")
    assert ask(application, "GET", "/nothing")[2] == "there is no /nothing; there are /, /sd\n"


def test_the_daemons_own_paths_win() -> None:
    assert ask(serving(), "GET", "/")[2] == "ours\n"
    assert [path for path in ("/", "/metrics", "/-/x", "/sd", "/-", "/metrics/x") if is_reserved(path)] == [
        *("/", "/metrics", "/-/x")
    ]


def test_a_plugin_that_fails_is_logged_once_and_not_told(caplog: pytest.LogCaptureFixture) -> None:
    application = serving(failing=True)
    for _ in range(2):
        status, _, text = ask(application, "GET", "/sd")
        assert (status, text) == ("500 Internal Server Error", "internal error; the log says more\n")
    assert caplog.text.count('request failed path=/sd reason="ZeroDivisionError') == 1


def test_head_is_answered_by_what_answers_get_without_the_body(application: Application) -> None:
    status, headers, text = ask(application, "HEAD", "/")
    assert (status, headers["Content-Length"], text) == ("200 OK", "2", "")
    assert ask(application, "HEAD", "/echo")[0] == "405 Method Not Allowed"
    assert ask(application, "PUT", "/")[1]["Allow"] == "GET, HEAD"


def test_a_body_may_come_in_pieces() -> None:
    application = Application()
    application.add("GET", "/", lambda _request: Response(iter([b"a", b"b"])))
    status, headers, text = ask(application, "GET", "/")
    assert (status, text) == ("200 OK", "ab")
    assert "Content-Length" not in headers
