import io
import json
from typing import Any
from urllib.parse import urlencode

import pytest
from explain_kit import explain_inputs

from kuma_sd.explain import answer, parse_selector
from kuma_sd.telemetry.explanation import SearchResult
from kuma_sd.testing import assignment
from kuma_sd.web.application import Application
from kuma_sd.web.endpoints import explain as inspection
from kuma_sd.web.endpoints.explain import add_inspection

EVIL = "\x1b[2J<script>\u202e"


def ask(**query: object) -> tuple[str, str]:
    where = explain_inputs(assignment("a"), assignment("b", labels={"evil": EVIL}))

    def explain(selector: str, output: str, limit: int, offset: int) -> SearchResult:
        return answer(where, parse_selector(selector), output, limit, offset)

    application, told = Application(), list[str]()
    add_inspection(application, explain)
    environment: Any = {
        "REQUEST_METHOD": "GET",
        "PATH_INFO": "/-/explain",
        "QUERY_STRING": urlencode(query),
        "wsgi.input": io.BytesIO(),
    }
    body = b"".join(application(environment, lambda status, _headers: told.append(status)))  # type: ignore[arg-type] # (write() is never used)
    return told[0], body.decode()


def test_it_answers_in_json() -> None:
    status, body = ask(selector="b")
    (found,) = json.loads(body)["targets"]
    assert status == "200 OK"
    assert found["target"] == {"control_plane": "", "mesh": "default", "dataplane": "b", "ordinal": 0}
    assert found["received"]["labels"] == {"evil": EVIL}
    assert "\x1b" not in body
    (chain,) = found["chains"]
    assert [(item["output"], item["verdict"]) for item in chain["outputs"]] == [("out", "published")]


def test_it_is_paged() -> None:
    whole = json.loads(ask(selector="{}", limit=1)[1])
    assert [target["target"]["dataplane"] for target in whole["targets"]] == ["a"]
    assert whole["more"] is True
    assert [load["target"]["dataplane"] for load in json.loads(ask(selector="{}", offset=1)[1])["targets"]] == ["b"]


@pytest.mark.parametrize(
    ("query", "status", "reason"),
    [
        ({}, "400 Bad Request", "selector is missing from the query"),
        ({"selector": "mesh="}, "400 Bad Request", "'mesh=' is wrong at character 6: expected a value for mesh"),
        ({"selector": "a", "limit": "0"}, "400 Bad Request", "limit must be from 1 to 1000"),
        ({"selector": "a", "limit": "1001"}, "400 Bad Request", "limit must be from 1 to 1000"),
        ({"selector": "a", "limit": "-1"}, "400 Bad Request", "'-1' is no whole number"),
        ({"selector": "a", "offset": "9" * 99}, "400 Bad Request", "is no whole number"),
        ({"selector": "a", "output": "x"}, "400 Bad Request", "there is no output 'x'; there are out\n"),
    ],
)
def test_a_wrong_question_is_refused_with_the_reason(query: dict[str, str], status: str, reason: str) -> None:
    told, body = ask(**query)
    assert told == status
    assert reason in body


def test_an_answer_that_nobody_could_read_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(inspection, "LARGEST_ANSWER", 1000)
    status, body = ask(selector="{}")
    assert status == "400 Bad Request"
    assert "ask with a smaller limit" in body
