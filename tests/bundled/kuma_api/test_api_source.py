"""The source over real HTTP: what it asks, how it fails, and what it says."""

import contextlib
import logging
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from http_server import Answer, Request, Server, http_server
from recorded_api import DATA, RecordedApi, recording

from kuma_sd import ConfigError, Context, Snapshot, SourceError, parse_url
from kuma_sd.simulator import ApiServer, GeneratedWorld, SimulatedControlPlane, kuma
from kuma_sd.testing import SourceContract
from kuma_sd_bundled.kuma_api import kuma_sd_source_plugin
from kuma_sd_bundled.kuma_api.errors import NotFoundError
from kuma_sd_bundled.kuma_api.options import ApiOptions
from kuma_sd_bundled.kuma_api.source import LISTS, ApiSource

DATAPLANES = "/dataplanes?size=1000"
FAST = ApiOptions(api_interval=0.01)


class TestTheSource(SourceContract):
    plugin = kuma_sd_source_plugin()

    @contextlib.contextmanager
    def address(self, directory: Path) -> Iterator[str]:
        del directory
        api = ApiServer()
        with SimulatedControlPlane(GeneratedWorld(20), line=kuma("2.14.3"), api=api):
            yield f"kuma-api+{api.url}"

    def unreachable(self) -> str:
        # Nothing listens at the discard port of loopback.
        return "kuma-api+http://127.0.0.1:9"


class Api:
    """Answers what was recorded, or what a path is told to answer."""

    def __init__(self, server: Server, step: str = "kuma-2.6.15/4-another") -> None:
        self.server = server
        self.recorded = RecordedApi(recording(DATA / f"{step}.json")["api"])
        self.told: dict[str, Answer] = {}
        self.seen: list[Request] = []
        self.url = f"kuma-api+http://{server.address}"

    def serve(self, count: int = 200) -> None:
        for _ in range(count):
            self.server.answers.put(self.answer)

    def answer(self, request: Request) -> Answer:
        self.seen.append(request)
        if request.path in self.told:
            return self.told[request.path]
        try:
            return 200, {}, self.recorded(request.path)
        except NotFoundError:
            return 404, {}, b'{"title": "Could not retrieve a resource", "details": "Not found"}'

    def list(self, path: str) -> dict[str, Any]:
        body: dict[str, Any] = self.recorded.answers[path]["body"]
        return body


@pytest.fixture
def api() -> Iterator[Api]:
    with http_server() as server:
        answering = Api(server)
        answering.serve()
        yield answering


def source_of(url: str, options: ApiOptions = FAST, name: str = "") -> ApiSource:
    return ApiSource(options, Context(name, address=parse_url(url)))


def first(source: ApiSource) -> Snapshot:
    with contextlib.closing(source):
        return next(iter(source))


def failure(source: ApiSource) -> str:
    with contextlib.closing(source), pytest.raises(SourceError) as caught:
        list(source)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def test_it_says_what_it_is_connected_to(api: Api) -> None:
    source = source_of(api.url)
    iterator = iter(source)
    next(iterator)
    status = source.status
    assert (status.protocol, status.endpoint) == ("API", api.server.address)
    assert status.why == "API of a control plane, 1 zone, 10 dataplanes, 4 policies"
    assert not status.note
    source.close()


def test_polls_go_over_one_connection_and_ask_for_the_rules_once(api: Api) -> None:
    source = source_of(api.url)
    iterator = iter(source)
    for _ in range(3):
        next(iterator)
    source.close()
    assert api.server.connections == 1
    assert len([request for request in api.seen if request.path.endswith("/_rules")]) == 2
    assert source.counts.polls == 3
    assert source.counts.requests == len(api.seen)


@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("path", ["/", "/meshes?size=1000", DATAPLANES])
def test_a_refusal_names_the_token_option(api: Api, path: str, status: int) -> None:
    api.told[path] = (status, {}, b'{"title": "no"}')
    assert "bearer-token-file" in failure(source_of(api.url))


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ((302, {"Location": "https://elsewhere/"}, b""), "redirects to another server"),
        ((200, {}, b"<html>Log in</html>"), "is no list of Kuma's API"),
        ((200, {}, b'{"items": [{"name": "cut o'), "is no list of Kuma's API"),
        ((200, {}, b'{"status": "ok"}'), "is no list of Kuma's API"),
        ((500, {}, b"oops"), "HTTP status 500"),
        ((404, {}, b"404: Page Not Found"), "the API has no /dataplanes"),
        ((200, {"Content-Length": "1000"}, b'{"items": ['), "/dataplanes"),
    ],
)
def test_a_wrong_answer_is_one_clear_line(api: Api, answer: Answer, said: str) -> None:
    api.told[DATAPLANES] = answer
    if "Content-Length" in answer[1]:
        answer[1]["Connection"] = "close"
        assert failure(source_of(api.url))
    else:
        assert said in failure(source_of(api.url))


@pytest.mark.parametrize(
    ("body", "deleted"),
    [
        (
            b'{"type": "/std-errors", "status": 404, "title": "Could not retrieve a resource", "detail": "Not found"}',
            True,
        ),
        (b'{"title": "Could not retrieve a resource", "details": "Not found"}', True),
        (b"404: Page Not Found", False),
        (b"<html><h1>404 Not Found</h1><hr>nginx</html>", False),
        (b'{"message": "no Route matched with those values"}', False),
        (b'{"type": "about:blank", "title": "Not Found", "status": 404, "details": "no route"}', False),
        (b"[]", False),
        (b"", False),
    ],
)
def test_only_kuma_itself_says_that_a_dataplane_is_deleted(api: Api, body: bytes, *, deleted: bool) -> None:
    body_of = {item["name"]: item for item in api.list(DATAPLANES)["items"]}
    source = source_of(api.url)
    names = {each.key.name for each in next(iter(source)).assignments}
    # The total still counts it, so that the list proves nothing and it is asked for.
    api.list(DATAPLANES)["items"].remove(body_of["edge-0"])
    api.told["/meshes/default/dataplanes/edge-0"] = (404, {}, body)
    after = next(iter(source))
    assert {each.key.name for each in after.assignments} == (names - {"edge-0"} if deleted else names)
    source.close()


def test_after_a_failure_targets_are_the_same_objects(api: Api) -> None:
    source = source_of(api.url)
    before = next(iter(source))
    api.told[DATAPLANES] = (500, {}, b"")
    with pytest.raises(SourceError):
        next(iter(source))
    assert not source.status.connected
    del api.told[DATAPLANES]
    after = next(iter(source))
    assert all(map(lambda old, new: old is new, before.assignments, after.assignments))
    source.close()


def test_a_token_is_sent_and_read_again_when_its_file_changes(api: Api, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("first-token")
    source = source_of(api.url, ApiOptions(api_interval=0.01, bearer_token_file=str(token)))
    iterator = iter(source)
    next(iterator)
    # As tools do it that renew tokens.
    (tmp_path / "new").write_text("second-token")
    (tmp_path / "new").rename(token)
    next(iterator)
    source.close()
    tokens = [request.headers["Authorization"] for request in api.seen]
    assert sorted(set(tokens)) == ["Bearer first-token", "Bearer second-token"]
    assert tokens == sorted(tokens)


def test_replicas_are_asked_in_turn(api: Api) -> None:
    source = source_of(f"kuma-api+http://127.0.0.1:9,{api.server.address}")
    with pytest.raises(SourceError):
        next(iter(source))
    assert next(iter(source)).assignments
    source.close()


@pytest.mark.parametrize(
    ("host", "address"),
    [
        ("kuma.example", "kuma.example:5681"),
        ("kuma.example:80", "kuma.example:80"),
        ("[::1]", "[::1]:5681"),
        ("a,b:1", "a:5681,b:1"),
    ],
)
def test_without_a_port_it_is_that_of_the_api(host: str, address: str) -> None:
    assert ",".join(map(str, source_of(f"kuma-api+http://{host}")._replicas)) == address


def test_an_address_with_a_query_is_refused() -> None:
    with pytest.raises(ConfigError, match="query"):
        source_of("kuma-api+http://kuma.example?x=1")


def test_lists_that_never_fit_are_said_once_after_three_polls(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    api.list(DATAPLANES)["total"] += 1
    source = source_of(api.url)
    with caplog.at_level(logging.INFO):
        iterator = iter(source)
        snapshots = [next(iterator) for _ in range(5)]
        assert len([line for line in caplog.messages if "lists of the API are inconsistent" in line]) == 1
        assert "dataplanes" in source.status.note
        api.list(DATAPLANES)["total"] -= 1
        assert next(iterator).complete
        assert "are consistent again" in caplog.text
    source.close()
    assert all(snapshot.assignments for snapshot in snapshots)
    assert {snapshot.unreadable for snapshot in snapshots} == {frozenset({LISTS})}


def test_once_a_poll_was_complete_lists_that_do_not_fit_make_no_answer_incomplete(api: Api) -> None:
    source = source_of(api.url)
    iterator = iter(source)
    complete = next(iterator)
    api.list(DATAPLANES)["items"].pop()
    doubtful = next(iterator)
    source.close()
    assert doubtful.complete
    # What is missing is in the store no more: nothing was recorded for it.
    assert len(doubtful.assignments) == len(complete.assignments) - 1


def test_dataplanes_without_a_name_are_logged_once(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    del api.list(DATAPLANES)["items"][0]["name"]
    source = source_of(api.url)
    iterator = iter(source)
    assert [len(next(iterator).unreadable) for _ in range(3)] == [1, 1, 1]
    source.close()
    assert len([line for line in caplog.messages if "no name that can be read" in line]) == 1


def test_closing_ends_a_request_that_is_not_answered() -> None:
    with http_server() as server:
        source = source_of(f"kuma-api+http://{server.address}")
        ended = threading.Event()

        def iterate() -> None:
            with contextlib.suppress(SourceError):
                list(source)
            ended.set()

        threading.Thread(target=iterate, daemon=True).start()
        server.requests.get(timeout=10)
        source.close()
        assert ended.wait(5)


def test_the_next_poll_waits_for_ten_times_the_last() -> None:
    source = source_of("kuma-api+http://127.0.0.1:9", ApiOptions(api_interval=1.0))
    schedule = source._schedule
    assert schedule.wait == 0
    schedule.finished(0.01)
    assert 0.8 < schedule.wait <= 1.1
    schedule.finished(60.0)
    assert 599 < schedule.wait <= 600
    schedule.failed(0.5)
    assert 4 < schedule.wait <= 5


def test_metrics_and_facts_tell_what_polling_costs(api: Api) -> None:
    context = Context("east", address=parse_url(api.url))
    source = ApiSource(FAST, context)
    [report] = context.contributions.reports
    assert report() == {}
    iterator = iter(source)
    next(iterator)
    [collector] = context.contributions.collectors
    samples = {sample.name: sample for metric in collector.collect() for sample in metric.samples}
    source.close()
    assert samples["kuma_sd_api_requests_total"].value == len(api.seen)
    assert samples["kuma_sd_api_poll_duration_seconds"].value > 0
    assert samples["kuma_sd_api_received_bytes_total"].labels == {"control_plane": "east"}
    assert report()["lists"] == "consistent"


def test_the_silence_that_is_allowed_covers_the_next_poll(api: Api) -> None:
    source = source_of(api.url, ApiOptions(api_interval=30.0))
    iterator = iter(source)
    next(iterator)
    assert 40 < source.status.due - time.monotonic() < 70
    source.close()
