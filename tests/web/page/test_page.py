"""The status page says how the daemon is, in every state, and obeys nothing that comes from outside."""

import re
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from page_kit import NOW, Answered, Page, only_named, output, plane, running, target_group
from publishing import Published

from kuma_sd.core.publication import Publication
from kuma_sd.telemetry.chain_status import Quarantined
from kuma_sd.telemetry.control_plane_status import HeldTargets
from kuma_sd.telemetry.duration_buckets import Histogram
from kuma_sd.telemetry.history import History
from kuma_sd.telemetry.status import Reloads, StateStatus
from kuma_sd.telemetry.top_counts import Count, TargetCounts
from kuma_sd.testing import assignment
from kuma_sd.web.paths import is_reserved


def held(count: int, mesh: str, why: str = "it is new", until: float | None = NOW + 100) -> dict[str, Any]:
    targets = HeldTargets(count, TargetCounts.of([Count(mesh, count)]), why=why, suspicious=True, engaged=1)
    return {"guard": targets, "held_until": until}


HELD = held(138, "payments")


def shown(*parts: Any, **facts: Any) -> Answered:
    """Look at the status page of these."""
    page = Page(running(*parts, **facts)).get()
    assert page.code == 200
    return page


def problems(page: Answered) -> list[str]:
    lists = page.all("ul", **{"class": "problems"})
    return [" ".join(" ".join(item.itertext()).split()) for node in lists for item in node]


def test_when_all_is_well_the_page_says_so_and_what_is_there() -> None:
    page = shown(plane(why="as at the last time"), output(seconds=Histogram(last=0.012)))
    assert page.all("h1")[0].text == "All is well"
    assert problems(page) == []
    for text in (
        "1 of 1",
        "2,000",
        "v1 gRPC for 2h",
        "as at the last time",
        "11s ago",
        "the last took 12ms",
        "625 KiB",
    ):
        assert text in page.words, text
    assert page.headers["Content-Type"] == "text/html; charset=utf-8"
    assert page.headers["Cache-Control"] == "no-store"
    assert page.headers["Content-Security-Policy"] == (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    )


STATES = {
    "no control plane was heard": (
        (plane(connected=False, last_response=None, since=None, assignments=0, failing="connection refused"),),
        "Control plane east has not answered yet connection refused",
    ),
    "a control plane is down": (
        (plane(connected=False, last_response=NOW - 200, since=None, age=200.0, failing="it closed the stream"),),
        "Control plane east has sent nothing for 3m20s; its 2,000 targets stay it closed the stream",
    ),
    "targets are from before the restart": (
        (plane(connected=False, last_response=NOW - 3, age=3.0, restored=True),),
        "Control plane east has sent nothing for 3s; its 2,000 targets are from before the restart no answer yet",
    ),
    "targets expired": (
        (plane(connected=False, last_response=NOW - 999, age=999.0, expired=True, assignments=0),),
        "Control plane east has sent nothing for 16m39s; its targets were dropped after max-age no answer yet",
    ),
    "the guard holds": (
        (plane("a", **HELD),),
        "The guard holds 138 targets that vanished from a, for 1m40s more it is new; in payments 138 Show them",
    ),
    "the guard holds for ever": (
        (plane(**held(1, "", until=None)),),
        "The guard holds 1 target that vanished from east, until an operator accepts it is new; in (none) 1 Show them",
    ),
    "something is not understood": ((plane(unreadable=3),), "3 assignments of east cannot be read see the log"),
    "a list that is empty": (
        (plane(assignments=0, note="no policy (MeshMetric) names the client 'me'"),),
        "Control plane east sends 0 targets no policy (MeshMetric) names the client 'me'",
    ),
    "several control planes are down for the same reason": (
        [
            plane(
                name,
                connected=False,
                last_response=NOW - 200 - number,
                age=200.0 + number,
                failing="connection refused",
            )
            for number, name in enumerate("abcdefgh")
        ],
        "8 control planes are not connected: a, b, c, d, e, f and 2 more connection refused",
    ),
    "an output fails": (
        (output(failing="No space left on device"),),
        "Output file_sd fails; what it published 11s ago stays No space left on device",
    ),
    "an output is slow": ((output(busy=12.0),), "Output file_sd is slow its attempt to publish takes 12s so far"),
    "targets are quarantined": (
        (output(quarantined=2, quarantine=(Quarantined("", "shop", "cart", "too many labels"),)),),
        "2 targets are quarantined in file_sd: each keeps what it had, or is left out Show them",
    ),
}


@pytest.mark.parametrize("state", STATES)
def test_what_needs_a_look_is_said_with_its_reason(state: str) -> None:
    parts, said = STATES[state]
    page = shown(*parts)
    assert problems(page) == [said]
    assert page.all("h1")[0].text == "1 thing needs a look"


def test_the_daemon_itself_is_told_of_and_the_worst_stands_first() -> None:
    facts: dict[str, Any] = {
        "stuck": ("pipeline: its thread died",),
        "reloads": Reloads(1, 1, NOW - 60, None, "line 3: unknown key"),
        "state": StateStatus(failing="read-only file system"),
    }
    page = shown(plane(**HELD), output(publications=0, last=None), **facts)
    assert [concern.split(" ")[1] for concern in problems(page)] == ["daemon", "settings", "are", "guard", "file_sd"]
    assert problems(page)[-1] == "Output file_sd has published nothing yet about to publish"
    assert "not healthy not ready, up 1d1h" in page.words


def test_quarantined_targets_lead_to_their_explanation() -> None:
    page = shown(output(quarantined=9, quarantine=(Quarantined("", "shop", 'a"b', "too many labels"),)))
    (link,) = [link for link in page.all("a") if link.text == 'shop/a"b']
    assert link.get("href") == "explain?" + urlencode({"selector": 'mesh="shop", dataplane="a\\"b"'})
    assert "and 8 more for file_sd" in page.words


def test_what_was_repaired_or_left_out_and_what_plugins_report_is_shown() -> None:
    facts: dict[str, Any] = {"duplicates": 2, "without_address": 1500, "labels_repaired": 3, "labels_collided": 1}
    page = shown(plane(facts={"role": "leader"}), output(**facts, facts={"shards": "4"}, paths=("/sd",)))
    for text in ("2 duplicates", "1,500 without address", "3 label names repaired", "1 label collided"):
        assert text in page.words
    assert "role: leader" in page.words
    assert "shards: 4" in page.words
    assert page.all("a", href="./sd")


def test_the_flow_shows_what_everybody_shares_and_how_many_there_are_beyond_what_fits() -> None:
    transforms = ("nodev", "only")
    outputs = [output("a", transforms=transforms), output("b", transforms=transforms, quarantined=1), output("c")]
    page = shown(*[plane(f"zone-{number}") for number in range(7)], *outputs)
    (flow,) = page.all("section", id="flow")
    (picture,) = flow.iter("svg")
    words = " ".join(" ".join(picture.itertext()).split())
    assert "and 3 more" in words
    (stages,) = flow.iter("ol")
    for text in ("guard", "chain: label profile, transforms", "nodev → only", "superseded", "and 3 more"):
        assert text in " ".join(stages.itertext()), "all of it is there for a phone, too"
    assert words.count("kuma-prometheus-sd") == 2, "two ways"
    assert "nodev → only, 1 quarantined" in words


def test_meshes_and_services_lead_to_their_targets() -> None:
    services = TargetCounts.of([Count("web", 5, "a"), *(Count(f"s{number}", 1, "b") for number in range(9))])
    page = shown(output(meshes=TargetCounts.of([Count("a", 5), Count("b", 9)]), services=services))
    links = {link.get("href") for link in page.all("a")}
    assert "targets?" + urlencode({"q": 'mesh="a"', "output": "file_sd"}) in links
    assert "targets?" + urlencode({"q": 'mesh="a", service="web"', "output": "file_sd"}) in links
    assert "and 3 more" in page.words


def test_recent_changes_and_charts_are_of_the_output_that_is_chosen() -> None:
    history = History()
    before, after = [target_group("a")], [target_group("a"), target_group("b")]
    published = Published(history)
    published.note("one", Publication.of(before, 1.0), NOW - 20, NOW - 20)
    published.note("one", Publication.of(after, 1.0), NOW - 10, NOW - 10)
    published.note("two", Publication.of(before, 1.0), NOW - 10, NOW - 10)
    page = Page(running(output("one"), output("two")), history)
    assert "default/b" in page.get().words
    assert "2 targets now, 1 to 2 within the last hour; 2 added, 0 removed, 0 changed" in page.get().words
    assert "default/b" not in page.get(query="output=two").words
    assert page.get(query="output=three").code == 404


def test_without_outputs_or_history_the_page_is_shown_all_the_same() -> None:
    page = Page(running(outputs=())).get()
    assert page.code == 200
    assert "No changes since the daemon started" in Page().get().words


def test_accept_is_offered_only_to_those_who_may() -> None:
    page = Page(running(plane(**HELD)))
    assert not page.get().all("button")
    page.may_change = True
    (form,) = page.get().all("form", method="post")
    assert form.get("action") == "./?control-plane=east"
    answered = page.get("/", "control-plane=east", "POST")
    assert (answered.code, answered.headers["Location"], page.accepted) == (303, "./", ["east"])
    assert page.get("/", "control-plane=none", "POST").code == 404
    assert page.get("/", "", "POST").code == 400


def test_forms_of_the_page_are_known_as_its_own_by_what_browsers_tell() -> None:
    assert Page().get().headers["Referrer-Policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/", "/targets", "/explain", "/-/page.css"])
def test_unknown_names_in_the_query_are_refused(path: str) -> None:
    assert Page().get(path, "x=1").code == 400


def test_no_plugin_may_serve_the_paths_of_the_page() -> None:
    assert all(map(is_reserved, ("/", "/targets", "/explain", "/-/page.css")))
    assert not is_reserved("/sd")


@pytest.mark.parametrize(
    ("name", "content_type"), [("page.css", "text/css"), ("page.js", "text/javascript"), ("icon.svg", "image/svg+xml")]
)
def test_files_are_kept_by_browsers_until_they_change(name: str, content_type: str) -> None:
    first = Page().get(f"/-/{name}")
    assert first.headers["Content-Type"].startswith(content_type)
    assert first.headers["Cache-Control"] == "no-cache"
    again = Page().get(f"/-/{name}", HTTP_IF_NONE_MATCH=f'"other", W/{first.headers["ETag"]}')
    assert (again.code, again.text) == (304, "")
    assert Page().get(f"/-/{name}", HTTP_IF_NONE_MATCH='"other"').text == first.text


def test_nothing_is_loaded_from_elsewhere_and_no_style_or_script_stands_in_the_page() -> None:
    page = Page(running(plane(**HELD)), may_change=True).get()
    for element in page.document.iter():
        assert element.tag != "style"
        assert not [name for name in element.attrib if name == "style" or name.startswith("on")]
        for name in ("src", "href", "action"):
            assert not re.match("[a-z]+:|//", element.get(name, "")), element.attrib
    assert all(script.get("src") and not script.text for script in page.all("script"))


# What a page can be made to do something with: markup, quotes, templates, links, controls, other reading directions.
EVIL = "<script>alert(1)</script>\"'><img src=x onerror=alert(2)>{{ 7 * 7 }}{% raw %}javascript:&lt;\u202e\x00\x1b[31m"


@settings(max_examples=40)
@example(EVIL)
@given(st.text())
def test_any_text_is_shown_and_never_obeyed(text: str) -> None:
    group = target_group(text or "x", mesh=text, **({"label": text} if text else {}))
    evil = plane(text, title=text, address=text, why=text, failing=text, facts={text: text}, protocol=text)
    holding = plane("b", **held(1, text, why=text))
    quarantine = (Quarantined(text, text, text, text),)
    one = output(text, failing=text, facts={text: text}, quarantined=1, quarantine=quarantine, transforms=(text,))
    counted = TargetCounts.of([Count(text, 1, text)])
    parts = (evil, holding, one, output("sd", meshes=counted, services=counted))
    history = History()
    Published(history).note("sd", Publication.of([group], 1.0), NOW, NOW)
    received = [assignment(text or "x", mesh=text, service=text or "s")]
    page = Page(running(*parts, stuck=(text,)), history, {"sd": [group]}, received, may_change=True)
    query = urlencode({"q": text}, errors="replace")
    answers = [page.get(query="output=sd"), page.get("/targets", query), page.get("/targets")]
    answers.append(page.get("/explain", urlencode({"selector": text}, errors="replace")))
    answers.append(page.get("/explain", urlencode({"selector": 'service!=""'})))
    for answered in answers:
        assert answered.code in (200, 400)
        scripts = [script.get("src") for script in answered.all("script")]
        assert scripts == ["-/page.js"]
        assert not [image for image in answered.all("img") if image.get("src") != "-/icon.svg"]
        assert not [name for node in answered.document.iter() for name in node.attrib if name.startswith("on")]
        assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]", answered.text)
        assert not [link for link in answered.all("a") if link.get("href", "").startswith(("javascript", "//", "http"))]


GROUPS = [target_group(f"web-{number:03}", env="prod" if number % 2 else "dev") for number in range(120)]


def test_targets_are_shown_in_pages() -> None:
    page = Page(groups={"file_sd": GROUPS})
    first, last = page.get("/targets"), page.get("/targets", "offset=100")
    assert "1\N{EN DASH}50 of 120 targets, published by file_sd." in first.words
    assert [link.get("href") for link in first.all("a", rel="next")] == ["targets?offset=50&output=file_sd"]
    assert "101\N{EN DASH}120 of 120 targets" in last.words
    assert not last.all("a", rel="next")
    assert len(last.all("tr")) == 21
    assert page.get("/targets", "offset=x").code == 400


def test_a_search_finds_words_and_matchers_and_says_what_is_wrong_with_them() -> None:
    page = Page(groups={"file_sd": GROUPS})
    assert (
        "1\N{EN DASH}1 of 1 target found, published by file_sd; 120 searched in"
        in page.get("/targets", "q=WEB-007").words
    )
    assert "1\N{EN DASH}50 of 60 targets found" in page.get("/targets", urlencode({"q": 'env=~"pr.+"'})).words
    wrong = page.get("/targets", "q=env%3D")
    assert wrong.code == 400
    assert "expected a value for env" in wrong.words
    assert wrong.all("input", id="q")[0].get("value") == "env="


def test_of_several_outputs_one_is_chosen() -> None:
    page = Page(groups={"a": GROUPS, "b": GROUPS[:3]})
    assert "1\N{EN DASH}3 of 3 targets, published by b." in page.get("/targets", "output=b").words
    assert page.get("/targets", "output=c").code == 404
    assert "Nothing is published yet" in Page().get("/targets").words


def test_what_the_guard_holds_is_marked_and_listed() -> None:
    page = Page(groups={"file_sd": GROUPS}, held=frozenset({"web-007", "web-100"}))
    assert "1\N{EN DASH}2 of 2 targets found" in page.get("/targets", "held=1").words
    assert len(page.get("/targets").all("span", **{"class": "state warning"})) == 1
    assert page.get("/targets", "held=yes").code == 400


RECEIVED = [assignment("web-1", service="web"), assignment("web-2", service="web"), assignment("db-1", service="db")]


def test_what_is_not_published_is_looked_for_among_what_was_received() -> None:
    page = Page(groups={"out": GROUPS}, received=RECEIVED, steps=[("only", only_named("web-1"))])
    answered = page.get("/targets", "q=db-1")
    assert "Not published, but received" in answered.words
    assert "out: dropped only (kind)" in answered.words
    assert "No control plane has it either. Did you mean db-1 or" in page.get("/targets", "q=db-11").words


def test_a_dropped_dataplane_is_explained_step_by_step() -> None:
    page = Page(received=RECEIVED, steps=[("only", only_named("web-1"))])
    answered = page.get("/explain", "selector=db-1")
    assert "db-1 in mesh default" in answered.words
    assert "only (kind) dropped here" in answered.words
    assert "label-profile kuma-prometheus-sd changed" in answered.words
    published = page.get("/explain", "selector=web-1")
    assert "out: published" in published.words
    assert "Result" in published.words


def test_a_part_of_a_name_finds_several_which_are_listed_with_what_becomes_of_them() -> None:
    page = Page(received=RECEIVED, steps=[("only", only_named("web-1"))])
    answered = page.get("/explain", "selector=web-")
    assert len(answered.all("li")) == 2
    link = "explain?" + urlencode({"selector": 'mesh="default", dataplane="web-2"'})
    assert answered.all("a", href=link)


def test_explain_says_what_to_ask_for_and_what_is_wrong() -> None:
    page = Page(received=RECEIVED)
    assert "shows every step" in page.get("/explain").words
    assert "No control plane sends it. Did you mean web-1" in page.get("/explain", "selector=web-10").words
    assert "does not reach kuma-sd" in page.get("/explain", "selector=zzzzzz").words
    assert page.get("/explain", urlencode({"selector": 'a=~"("'})).code == 400
