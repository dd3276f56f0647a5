"""Who gets through, from where, and what browsers are told."""

import io
from typing import Any

import bcrypt
import pytest
from serving import basic

from kuma_sd.web.application import Application, Request, Response
from kuma_sd.web.server.access_control import HEADERS, AccessControl
from kuma_sd.web.server.authentication import Authentication
from kuma_sd.web.server.rate_limit import RateLimit
from kuma_sd.web.server.web_config import WebConfig


def application() -> Application:
    def served(_environment: Any, start_response: Any) -> list[bytes]:
        start_response("200 OK", [("X-Frame-Options", "sameorigin")])
        return [b"served"]

    def page(_request: Request) -> Response:
        return Response(b"page", headers={"Content-Security-Policy": "default-src 'self'"})

    app = Application(lambda: {"/sd": served})
    app.add("GET", "/", page)
    app.add("POST", "/-/reload", lambda _request: Response.lines("reloaded"))
    return app


def ask(  # noqa: PLR0913 (what a request may differ in)
    method: str = "GET",
    path: str = "/",
    config: WebConfig | None = None,
    *,
    may_change: bool = True,
    only_local: bool = False,
    hosts: tuple[str, ...] = (),
    **headers: Any,
) -> tuple[int, dict[str, str], str]:
    told: list[Any] = []
    environment: Any = {"REQUEST_METHOD": method, "PATH_INFO": path, "REMOTE_ADDR": "1.2.3.4", **headers}
    environment["wsgi.input"] = io.BytesIO()
    access_control = AccessControl(
        application(), lambda: config or WebConfig(), lambda: may_change, lambda: hosts, only_local=only_local
    )
    body = b"".join(access_control(environment, lambda *start: told.extend(start)))  # type: ignore[arg-type]
    return int(told[0].split()[0]), dict(told[1]), body.decode()


def test_every_answer_tells_browsers_to_be_careful() -> None:
    for method, path, status in (("GET", "/nothing", 404), ("PUT", "/", 405), ("POST", "/-/reload", 200)):
        found, headers, _ = ask(method, path)
        assert found == status
        assert headers.items() >= HEADERS.items()


def test_an_answer_may_say_something_else_and_the_web_configuration_has_the_last_word() -> None:
    assert ask()[1]["Content-Security-Policy"] == "default-src 'self'"
    assert ask(path="/sd")[1]["X-Frame-Options"] == "sameorigin"
    config = WebConfig(headers={"X-Frame-Options": "deny", "Strict-Transport-Security": "max-age=9"})
    headers = ask(path="/sd", config=config, **OVER_TLS)[1]
    assert (headers["X-Frame-Options"], headers["Strict-Transport-Security"]) == ("deny", "max-age=9")


OVER_TLS: dict[str, Any] = {"wsgi.url_scheme": "https"}


def test_browsers_are_told_to_stay_with_tls_where_it_is_spoken_and_nowhere_else() -> None:
    name = "Strict-Transport-Security"
    assert ask(**OVER_TLS)[1][name].startswith("max-age=")
    assert name not in ask()[1]
    configured = WebConfig(headers={name: "max-age=9"})
    assert name not in ask(config=configured)[1]
    assert name not in ask(config=WebConfig(headers={name: ""}), **OVER_TLS)[1], "an empty one takes ours away"


def test_requests_are_counted_where_the_web_configuration_says_so() -> None:
    config = WebConfig(rate_limit=RateLimit(10, 2, clock=lambda: 0.0))
    statuses = [ask(config=config) for _ in range(3)]
    assert [status for status, _, _ in statuses] == [200, 200, 429]
    assert statuses[2][1]["Retry-After"] == "10"


@pytest.mark.parametrize(("host", "status"), [("kuma-sd.internal:9119", 200), ("10.1.2.3", 200), ("localhost", 200)])
@pytest.mark.parametrize("only_local", [True, False])
def test_with_a_list_of_hosts_nobody_is_served_by_another_name(host: str, status: int, *, only_local: bool) -> None:
    hosts = ("kuma-sd.internal",)
    assert ask(only_local=only_local, hosts=hosts, HTTP_HOST=host)[0] == status
    assert ask(only_local=only_local, hosts=hosts, HTTP_HOST="evil.example:9119")[0] == 403


def test_a_page_that_made_its_name_mean_this_address_changes_nothing() -> None:
    rebound: dict[str, Any] = {"HTTP_HOST": "evil.example:9119", "HTTP_ORIGIN": "http://evil.example:9119"}
    status, _, text = ask("POST", "/-/reload", **rebound)
    assert (status, "set hosts" in text) == (403, True)
    assert ask("POST", "/-/reload", HTTP_SEC_FETCH_SITE="same-origin", **rebound)[0] == 403
    assert ask("POST", "/-/reload", hosts=("evil.example",), **rebound)[0] == 200, "it is said to be ours"
    assert ask("POST", "/-/reload", HTTP_HOST="kuma-sd.internal:9119")[0] == 200, "a program is no page"


def test_nobody_gets_in_without_the_password_where_there_is_one() -> None:
    users = Authentication({"alice": bcrypt.hashpw(b"secret", bcrypt.gensalt(4))})
    config = WebConfig(authentication=users)
    for method, path in (("GET", "/"), ("GET", "/sd"), ("POST", "/-/reload"), ("HEAD", "/nothing")):
        status, headers, _ = ask(method, path, config)
        assert status == 401
        assert "WWW-Authenticate" in headers
    assert ask(config=config, HTTP_AUTHORIZATION=basic("alice", "secret"))[0] == 200
    assert ask(config=config, HTTP_AUTHORIZATION=basic("alice", "wrong"))[0] == 401


def test_what_changes_something_needs_the_setting() -> None:
    status, _, text = ask("POST", "/-/reload", may_change=False)
    assert status == 403
    assert "set enable-lifecycle in [web], or ask over the control socket" in text
    assert ask("GET", "/", may_change=False)[0] == 200
    assert ask("POST", "/sd", may_change=False)[0] == 200, "what plugins serve is their business"


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"HTTP_ORIGIN": "http://localhost:9119"}, 200),
        ({"HTTP_ORIGIN": "https://localhost:9119"}, 200),
        ({"HTTP_ORIGIN": "http://localhost:80"}, 403),
        ({"HTTP_ORIGIN": "http://evil.example"}, 403),
        ({"HTTP_ORIGIN": "null"}, 403),
        ({"HTTP_ORIGIN": ""}, 403),
        ({"HTTP_SEC_FETCH_SITE": "same-origin", "HTTP_ORIGIN": "https://proxy.example"}, 200),
        ({"HTTP_SEC_FETCH_SITE": "none"}, 200),
        ({"HTTP_SEC_FETCH_SITE": "same-site"}, 403),
        ({"HTTP_SEC_FETCH_SITE": "cross-site", "HTTP_ORIGIN": "http://localhost:9119"}, 403),
    ],
)
@pytest.mark.parametrize("path", ["/-/reload", "/sd"])
def test_a_page_of_another_site_changes_nothing(headers: dict[str, Any], status: int, path: str) -> None:
    assert ask("POST", path, HTTP_HOST="localhost:9119", **headers)[0] == status
    assert ask("GET", "/", HTTP_HOST="localhost:9119", **headers)[0] == 200


@pytest.mark.parametrize(
    ("host", "status"),
    [
        *(("localhost:9119", 200), ("LOCALHOST.", 200), ("kuma.localhost", 200), ("", 200)),
        *(("127.0.0.1:9119", 200), ("[::1]:9119", 200), ("10.1.2.3", 200)),
        *(("evil.example", 403), ("evil.example:9119", 403), ("127.0.0.1.evil.example", 403), ("localhost@evil", 403)),
    ],
)
def test_a_page_that_made_its_name_mean_this_machine_reads_nothing(host: str, status: int) -> None:
    assert ask(only_local=True, HTTP_HOST=host)[0] == status
    assert ask(only_local=False, HTTP_HOST=host)[0] == 200, "there is no telling by what names it is known"
    users = Authentication({"alice": bcrypt.hashpw(b"secret", bcrypt.gensalt(4))})
    known = ask(
        config=WebConfig(authentication=users),
        only_local=True,
        HTTP_HOST=host,
        HTTP_AUTHORIZATION=basic("alice", "secret"),
    )
    assert known[0] == 200, "the page does not know the password"
