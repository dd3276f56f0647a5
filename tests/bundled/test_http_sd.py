"""The list over HTTP: Prometheus's contract to the letter, and everything made once."""

import gzip
import json
import threading
from typing import Any
from wsgiref.util import setup_testing_defaults
from wsgiref.validate import validator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuma_sd import Context, GroupKey, Key, Publication, TargetGroup
from kuma_sd.prometheus.sharding import hashmod
from kuma_sd_bundled.http_sd import HTTPSDOptions, kuma_sd_output_plugin
from kuma_sd_bundled.http_sd.content import CODINGS
from kuma_sd_bundled.http_sd.negotiation import choose_coding, is_known
from kuma_sd_bundled.http_sd.output import HTTPSD


def publication(count: int, changed: int | None = None) -> Publication:
    groups = [
        TargetGroup.render(
            GroupKey(Key("", "default", f"dp-{number:05}", 0), 0),
            {"__address__": f"10.0.{number // 250}.{number % 250}:5670", "new": "yes" if number == changed else ""},
        )
        for number in range(count)
    ]
    return Publication.of(groups, 0.0)


def ask(output: HTTPSD, query: str = "", method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    told: list[Any] = []
    environment: dict[str, Any] = {
        "REQUEST_METHOD": method,
        "SCRIPT_NAME": "",
        "PATH_INFO": "/sd",
        "QUERY_STRING": query,
    }
    setup_testing_defaults(environment)
    environment.update({f"HTTP_{name.upper()}": value for name, value in headers.items()})
    answer = validator(output)(environment, lambda status, headers, *_: told.extend([status, headers]))  # type: ignore[arg-type]
    body = b"".join(answer)
    answer.close()  # type: ignore[attr-defined]
    return int(told[0].split()[0]), dict(told[1]), body


def published(count: int) -> HTTPSD:
    output = HTTPSD("/sd")
    output.start()
    output.publish(publication(count))
    return output


def addresses(body: bytes) -> list[str]:
    return [address for group in json.loads(body) for address in group["targets"]]


def made(output: HTTPSD) -> int:
    assert output._content
    return output._content.made


def test_before_the_first_list_it_is_unavailable_not_empty() -> None:
    status, headers, body = ask(HTTPSD("/sd"))
    assert (status, headers["Retry-After"], body) == (503, "5", b"no targets are known yet\n")


@pytest.mark.parametrize("count", [0, 1, 3, 4096, 4097, 8192])
def test_the_whole_list_is_json_of_its_lines(count: int) -> None:
    status, headers, body = ask(published(count))
    assert status == 200
    assert headers["Content-Type"] == "application/json"
    assert headers["Content-Length"] == str(len(body))
    assert [json.dumps(group, separators=(",", ":")).encode() for group in json.loads(body)] == [
        group.json for group in publication(count).groups
    ]


def test_head_has_the_headers_of_get_and_no_body() -> None:
    output = published(3)
    assert ask(output, method="HEAD") == (*ask(output)[:2], b"")
    assert ask(output, "x=1", method="HEAD")[0] == 400


def test_another_method_is_refused() -> None:
    status, headers, _ = ask(published(1), method="POST")
    assert (status, headers["Allow"]) == (405, "GET, HEAD")


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("shard=8&of=8", "shard is counted from 0; the last of 8 is 7"),
        ("shard=1", "of is missing; one shard is asked for like ?shard=2&of=8"),
        ("of=1", "shard is missing"),
        ("shard=a&of=8", "shard is no number"),
        ("shard=-1&of=8", "shard is no number"),
        ("shard=0&of=", "of is no number"),
        ("shard=0&of=0", "of is a number from 1 to 1024"),
        ("shard=0&of=1025", "of is a number from 1 to 1024"),
        ("shard=0&shard=0&of=8", "a name stands in the query twice"),
        ("mesh=default", "'mesh' is not asked for here; known are: of, shard"),
        ("shard", "the query is not of the form name=value&name=value"),
        ("%1b=1", "'\\x1b' is not asked for here"),
    ],
)
def test_a_query_that_is_not_understood_is_refused_with_the_reason(query: str, reason: str) -> None:
    status, headers, body = ask(published(1), query)
    assert status == 400
    assert headers["Content-Type"].startswith("text/plain")
    assert body.decode().startswith(reason)


def test_shards_are_those_of_prometheus_and_make_up_the_whole() -> None:
    output = published(500)
    whole = addresses(ask(output)[2])
    for of in (1, 3, 8, 1024):
        shards = [addresses(ask(output, f"shard={number}&of={of}")[2]) for number in range(of)]
        assert shards == [[item for item in whole if hashmod(item, of) == number] for number in range(of)]


def test_who_knows_the_list_is_told_so_and_nobody_else_is() -> None:
    output = published(3)
    etag = ask(output)[1]["ETag"]
    assert etag.startswith('"')
    for known in (etag, f"W/{etag}", f'"other", {etag}', "*"):
        status, headers, body = ask(output, if_none_match=known)
        assert (status, headers["ETag"], body) == (304, etag, b"")
        assert "Content-Length" not in headers
    for unknown in ("", '"other"', etag.strip('"'), "W/*"):
        assert ask(output, if_none_match=unknown)[0] == 200


def test_the_tag_changes_with_the_list_and_only_then() -> None:
    output = published(3)
    etag = ask(output)[1]["ETag"]
    output.publish(publication(3))
    assert ask(output)[1]["ETag"] == etag
    output.publish(publication(3, changed=1))
    assert ask(output, if_none_match=etag)[0] == 200
    assert ask(published(3))[1]["ETag"] == etag, "also in another process"


def test_every_form_of_the_list_has_a_tag_of_its_own() -> None:
    output = published(100)
    forms = [(query, coding) for query in ("", "shard=0&of=2", "shard=1&of=2") for coding in ("identity", *CODINGS)]
    tags = [ask(output, query, accept_encoding=coding)[1]["ETag"] for query, coding in forms]
    assert len(set(tags)) == len(forms)


def test_nothing_is_compressed_that_is_not_asked_for() -> None:
    output = published(10)
    for accepted in ({}, {"accept_encoding": "br, deflate"}, {"accept_encoding": "*"}, {"accept_encoding": "gzip;q=0"}):
        headers = ask(output, **accepted)[1]
        assert "Content-Encoding" not in headers
        assert headers["Vary"] == "Accept-Encoding"


def test_compressed_forms_hold_the_list() -> None:
    output = published(5000)
    plain = ask(output)[2]
    status, headers, body = ask(output, accept_encoding="gzip")
    assert (status, headers["Content-Encoding"]) == (200, "gzip")
    assert gzip.decompress(body) == plain
    assert gzip.decompress(ask(output, "shard=1&of=2", accept_encoding="gzip")[2]) == ask(output, "shard=1&of=2")[2]


@pytest.mark.skipif("zstd" not in CODINGS, reason="Python 3.14 brings zstd, for others the extra does")
def test_zstd_holds_the_list() -> None:
    output = published(5000)
    _, headers, body = ask(output, accept_encoding="gzip, zstd")
    assert headers["Content-Encoding"] == "zstd"
    assert unzstd(body) == ask(output)[2]


def unzstd(body: bytes) -> bytes:
    try:
        from compression.zstd import decompress  # type: ignore[import-not-found,unused-ignore] # noqa: PLC0415 (3.14)
    except ImportError:
        import zstandard  # noqa: PLC0415 (where the other is missing)

        return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    return bytes(decompress(body))


def test_nothing_acceptable_is_said() -> None:
    status, _, body = ask(published(1), accept_encoding="identity;q=0")
    assert status == 406
    assert body.decode().startswith("none of these is accepted: ")


@pytest.mark.parametrize(
    ("accepted", "chosen"),
    [
        ("", "identity"),
        ("gzip", "gzip"),
        ("x-gzip", "gzip"),
        ("GZIP ; Q=0.5", "gzip"),
        ("gzip, zstd", "zstd"),
        ("gzip;q=1.0, zstd;q=0.5", "gzip"),
        ("gzip;q=0.5, identity", "identity"),
        ("gzip;q=0.5, identity;q=0.5", "gzip"),
        ("gzip;q=0", "identity"),
        ("*", "identity"),
        ("*;q=0", None),
        ("*;q=0, gzip", "gzip"),
        ("identity;q=0, *", "zstd"),
        ("identity;q=0, *, zstd;q=0", "gzip"),
        ("identity;q=0", None),
        ("br", "identity"),
        ("gzip;q=2", "identity"),
        ("gzip;level=9", "identity"),
    ],
)
def test_the_coding_is_what_the_client_wants_most(accepted: str, chosen: str | None) -> None:
    assert choose_coding(accepted, ["zstd", "gzip"]) == chosen


@given(st.text(), st.text())
def test_whatever_headers_say_something_is_chosen(accepted: str, known: str) -> None:
    assert choose_coding(accepted, ["zstd", "gzip"]) in ("zstd", "gzip", "identity", None)
    assert is_known('"tag"', known) == (known.strip() == "*" or '"tag"' in known)


def test_a_body_is_made_once_for_a_change_however_many_ask() -> None:
    output = published(2000)
    for _ in range(3):
        for query in ("", "shard=0&of=2"):
            for coding in ("identity", "gzip"):
                ask(output, query, accept_encoding=coding)
    assert made(output) == 4
    output.publish(publication(2000))
    ask(output)
    assert made(output) == 4, "nothing changed"
    output.publish(publication(2000, changed=7))
    assert made(output) == 0, "nobody asked"
    etag = ask(output)[1]["ETag"]
    assert ask(output, if_none_match=f'{etag[:-1]}-gzip"', accept_encoding="gzip")[0] == 304
    assert made(output) == 1, "who knows the list needs nothing compressed"


def test_many_at_once_wait_for_one_that_makes_it() -> None:
    output = published(3000)
    threads = [threading.Thread(target=ask, args=(output,), kwargs={"accept_encoding": "gzip"}) for _ in range(10)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made(output) == 2


def test_a_target_that_did_not_change_is_not_hashed_again() -> None:
    output = published(1000)
    for of in (2, 3, 5):
        ask(output, f"shard=0&of={of}")
    assert output._hashes.computed == 1000
    output.publish(publication(1000, changed=7))
    ask(output, "shard=0&of=2")
    assert output._hashes.computed == 1001


def test_what_is_kept_for_shards_is_bounded() -> None:
    output = published(2000)
    size, content = len(ask(output)[2]), output._content
    assert content
    for of in range(1, 20):
        for number in range(of):
            ask(output, f"shard={number}&of={of}")
            kept = content._others.values()
            assert sum(body.size for body in kept) <= 2 * size
    assert len(content._divisions) <= 4
    before = made(output)
    ask(output, "shard=18&of=19")
    assert made(output) == before, "the last used are still there"


def test_the_path_is_an_option_and_is_told() -> None:
    plugin = kuma_sd_output_plugin()
    context = Context("payments")
    output: Any = plugin.open(HTTPSDOptions(path="/payments/sd"), context)
    assert context.contributions.served == {"/payments/sd": output}
    assert [facts() for facts in context.contributions.reports] == [{"path": "/payments/sd"}]
