import contextlib
import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from http_server import Server, http_server
from recordings import DATA

from kuma_sd import Secret, SourceError
from kuma_sd.http.address import parse_address
from kuma_sd.http.client import HttpClient
from kuma_sd.http.errors import SilentError, TooLargeError
from kuma_sd.http.options import Header
from kuma_sd.http.tls_and_credentials import Access
from kuma_sd.mads import http_long_poll
from kuma_sd.mads.codecs.v1_json import TYPE_URL
from kuma_sd.mads.decoder import MadsResponse
from kuma_sd.mads.errors import ForeignError, GarbledError, NotServedThereError
from kuma_sd.mads.http_long_poll import LongPoll
from kuma_sd.mads.plugin import MadsOptions

_polls: list[LongPoll] = []


@pytest.fixture
def server() -> Iterator[Server]:
    with http_server() as running:
        yield running
    while _polls:
        _polls.pop().close()


def poll(server: Server, *, min_interval: float = 0.0, path: str = "", **options: Any) -> LongPoll:
    configured = MadsOptions(**{"fetch_timeout": 5.0} | options)
    (endpoint,) = parse_address(f"http://{server.address}{path}").replicas
    client = HttpClient(endpoint, configured, Access(configured))
    _polls.append(LongPoll(client, configured.name, 5.0, 10.0, min_interval))
    return _polls[-1]


def body(version: str, *names: str) -> bytes:
    resources = [
        {
            "@type": "type.googleapis.com/kuma.observability.v1.MonitoringAssignment",
            "mesh": "default",
            "targets": [{"name": name}],
        }
        for name in names
    ]
    return json.dumps({"version_info": version, "resources": resources, "type_url": TYPE_URL}).encode()


def received(response: MadsResponse | None) -> list[str]:
    assert response is not None
    return [json.loads(each)["targets"][0]["name"] for each in response.resources]


def test_the_request_is_what_every_kuma_takes(server: Server) -> None:
    server.answer(body=body("v1", "a"))
    next(iter(poll(server, name="monitoring-1")))
    request = server.requests.get(timeout=5)
    assert request.method == "POST"
    assert request.path == "/v3/discovery:monitoringassignments?fetch-timeout=5000ms"
    assert request.headers["Content-Type"] == "application/json"
    assert json.loads(request.body) == {
        "version_info": "",
        "node": {"id": "monitoring-1"},
        "resource_names": [],
        "type_url": "type.googleapis.com/kuma.observability.v1.MonitoringAssignment",
        "response_nonce": "",
    }


def test_each_answer_is_a_response_and_a_304_is_a_sign_of_life(server: Server) -> None:
    server.answer(body=body("v1", "a"))
    server.answer(304)
    server.answer(body=body("v2", "a", "b"))
    responses = iter(poll(server))
    assert received(next(responses)) == ["a"]
    assert next(responses) is None
    assert received(next(responses)) == ["a", "b"]
    versions = [json.loads(server.requests.get(timeout=5).body)["version_info"] for _ in range(3)]
    assert versions == ["", "v1", "v1"]
    assert server.connections == 1


def test_an_empty_set_has_no_resources(server: Server) -> None:
    server.answer(body=(DATA / "kuma-1.2.3" / "http-v1-00.json").read_bytes())
    response = next(iter(poll(server)))
    assert response is not None
    assert list(response.resources) == []


def test_the_version_is_understood_in_both_spellings(server: Server) -> None:
    server.answer(body=json.dumps({"versionInfo": "v7", "typeUrl": TYPE_URL}).encode())
    server.answer(body=body("v8", "a"))
    responses = iter(poll(server))
    next(responses)
    next(responses)
    assert [json.loads(server.requests.get(timeout=5).body)["version_info"] for _ in range(2)] == ["", "v7"]


def test_a_connection_that_the_server_closes_after_an_answer_is_made_again(server: Server) -> None:
    server.answer(body=body("v1", "a"), Connection="close")
    server.answer(body=body("v2"))
    responses = iter(poll(server))
    next(responses)
    next(responses)
    assert server.connections == 2


def test_a_path_stands_before_that_of_mads(server: Server) -> None:
    server.answer(body=body("v1"))
    next(iter(poll(server, path="/kuma/")))
    assert server.requests.get(timeout=5).path.startswith("/kuma/v3/discovery:monitoringassignments?")


def test_a_server_that_answers_at_once_does_not_make_us_spin(server: Server) -> None:
    server.answer(body=body("v1", "a"))
    server.answer(body=body("v2", "a"))
    polling = poll(server, min_interval=1000.0)
    responses = iter(polling)
    next(responses)
    server.requests.get(timeout=5)

    def wait_for_the_next() -> None:
        with pytest.raises(SourceError):
            next(responses)

    waiting = threading.Thread(target=wait_for_the_next)
    waiting.start()
    polling.close()
    waiting.join(5)
    assert not waiting.is_alive()
    assert server.requests.empty()


def test_closing_cuts_a_request_that_is_held(server: Server) -> None:
    polling = poll(server)
    ended: list[str] = []

    def read() -> None:
        with pytest.raises(SourceError) as error:
            next(iter(polling))
        ended.append(str(error.value))

    reader = threading.Thread(target=read)
    reader.start()
    server.requests.get(timeout=5)
    polling.close()
    reader.join(0.5)
    assert ended == ["the connection was closed"]


@pytest.mark.parametrize(
    ("status", "headers", "reason"),
    [
        (301, {"Location": "http://elsewhere/"}, "it redirects to another server, which"),
        (400, {}, "HTTP status 400"),
        (401, {}, "it rejects the credentials"),
        (403, {}, "it rejects the credentials"),
        (429, {"Retry_After": "17"}, "it limits the rate of requests"),
        (500, {}, "every MeshMetric names other clients than ours"),
        (503, {}, "HTTP status 503"),
    ],
)
def test_every_other_status_has_one_clear_line(
    server: Server, status: int, headers: dict[str, str], reason: str
) -> None:
    server.answer(status, b"<html>", **headers)
    with pytest.raises(SourceError, match=reason) as error:
        next(iter(poll(server)))
    assert error.value.retry_after == (17.0 if status == 429 else 0.0)


@pytest.mark.parametrize("status", [404, 405])
def test_where_no_mads_is_served_that_is_said(server: Server, status: int) -> None:
    server.answer(status)
    with pytest.raises(NotServedThereError):
        next(iter(poll(server)))


@pytest.mark.parametrize("page", [b"<html>Please log in</html>", b'{"version_info":', b"[]", b"", b"\xff\xff"])
def test_what_is_no_mads_response_is_shown_in_part(server: Server, page: bytes) -> None:
    server.answer(body=page)
    with pytest.raises(SourceError, match="its answer is no MADS response"):
        next(iter(poll(server)))


def test_a_body_larger_than_the_limit_is_refused(server: Server) -> None:
    server.answer(body=body("v1", *(f"backend-{number}" for number in range(1000))))
    with pytest.raises(TooLargeError, match=r"the response is larger than max-message-size \(16KiB\), raise it"):
        next(iter(poll(server, max_message_size=2**14)))


def test_a_body_that_ends_early_is_an_error(server: Server) -> None:
    server.answer(body=body("v1", "a"), Content_Length="100000", Connection="close")
    with pytest.raises(SourceError):
        next(iter(poll(server)))


def test_nothing_new_before_there_was_anything_is_an_error_that_names_the_client(server: Server) -> None:
    server.answer(304)
    with pytest.raises(SourceError, match="no assignments for the client 'kuma_sd': every MeshMetric names other"):
        next(iter(poll(server)))


def test_after_changes_that_come_late_twice_requests_are_held_for_a_shorter_time(server: Server) -> None:
    polling = poll(server)
    polling._fetch_timeout = 30.0
    polling._notice_late(late=True)
    polling._notice_late(late=False)
    polling._notice_late(late=True)
    assert polling._fetch_timeout == 30.0
    polling._notice_late(late=True)
    assert polling._fetch_timeout == 5.0


def test_a_gateway_that_gives_up_on_a_held_request_is_asked_for_less(server: Server, monkeypatch: Any) -> None:
    monkeypatch.setattr(http_long_poll, "LEAST_FETCH_TIMEOUT", 0.05)
    server.answer(body=body("v1", "a"))
    polling = poll(server)
    polling._fetch_timeout = 30.0
    responses = iter(polling)
    next(responses)
    threading.Timer(1.5, server.answer, [504]).start()
    threading.Timer(1.6, server.answer, [304]).start()
    assert next(responses) is None
    asked = [server.requests.get(timeout=5).path.rpartition("=")[2] for _ in range(3)]
    assert asked[:2] == ["5000ms", "30000ms"]
    assert 20 < int(asked[2].removesuffix("ms")) < 5000


def test_a_gateway_timeout_that_comes_at_once_or_for_the_first_request_is_an_error(server: Server) -> None:
    server.answer(504)
    with pytest.raises(SourceError, match="HTTP status 504"):
        next(iter(poll(server)))
    server.answer(body=body("v1", "a"))
    server.answer(504)
    responses = iter(poll(server))
    next(responses)
    with pytest.raises(SourceError, match="HTTP status 504"):
        next(responses)


def test_headers_and_credentials_are_sent(server: Server, tmp_path: Any) -> None:
    (tmp_path / "token").write_text("s3cr3t\n")
    server.answer(body=body("v1"))
    next(iter(poll(server, header=(Header("X-Tenant", Secret("m")),), bearer_token_file=str(tmp_path / "token"))))
    headers = server.requests.get(timeout=5).headers
    assert headers["X-Tenant"] == "m"
    assert headers["Authorization"] == "Bearer s3cr3t"


def test_the_first_request_asks_for_an_answer_soon_and_the_next_ones_may_be_held(server: Server) -> None:
    server.answer(body=body("v1", "a"))
    server.answer(body=body("v2", "a"))
    polling = poll(server)
    polling._fetch_timeout = 30.0
    responses = iter(polling)
    next(responses)
    next(responses)
    asked = [server.requests.get(timeout=5).path.rpartition("=")[2] for _ in range(2)]
    assert asked == ["5000ms", "30000ms"]


def test_a_first_answer_that_does_not_come_is_given_up(server: Server) -> None:
    polling = poll(server)
    polling._patience = 0.3
    with contextlib.closing(polling), pytest.raises(SilentError, match="no answer within 300ms"):
        next(iter(polling))


ENVOY = "type.googleapis.com/envoy.config.cluster.v3.Cluster"


@pytest.mark.parametrize(
    ("page", "reason"),
    [
        ({"error": {"code": 401, "message": "token expired"}}, "it has no type_url"),
        ({"status": "error"}, "it has no type_url"),
        ({"version_info": "1", "resources": []}, "it has no type_url"),
        ({"type_url": TYPE_URL}, "it has no version_info"),
        ({"type_url": TYPE_URL, "version_info": ""}, "it has no version_info"),
        ({"version_info": "7", "type_url": ENVOY}, "its type_url is '.*Cluster'"),
        ({"version_info": "7", "type_url": "type.googleapis.com/x.Cluster"}, "its type_url is unknown"),
    ],
)
def test_json_that_is_no_answer_of_mads_fails_the_connection(server: Server, page: object, reason: str) -> None:
    server.answer(body=body("v1", "a"))
    server.answer(body=json.dumps(page).encode())
    polling = poll(server)
    responses = iter(polling)
    next(responses)
    with (
        contextlib.closing(polling),
        pytest.raises(ForeignError, match=rf"its answer is no MADS response \({reason}\); its body is JSON, "),
    ):
        next(responses)


@pytest.mark.parametrize("page", [b"[" * 200_000, b'{"resources":' + b"[" * 200_000, b'{"x":' * 200_000])
def test_json_that_is_nested_without_end_fails_the_connection(server: Server, page: bytes) -> None:
    server.answer(body=page)
    polling = poll(server)
    with contextlib.closing(polling), pytest.raises(GarbledError) as error:
        next(iter(polling))
    assert len(str(error.value)) < 300
