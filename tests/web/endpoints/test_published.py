"""What a daemon has is streamed over its control socket, however much it is."""

import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kuma_sd import GroupKey, Key, KumaSDError, TargetGroup
from kuma_sd.system.threads import Threads
from kuma_sd.web import client
from kuma_sd.web.application import Application
from kuma_sd.web.client import NoDaemonError, ask, download
from kuma_sd.web.endpoints.published import PublishedContent, add_published, groups_in, lines_of
from kuma_sd.web.server.control_socket import ControlSocket


def groups_of(count: int) -> list[TargetGroup]:
    return [
        TargetGroup.render(
            GroupKey(Key("", "default", f"web-{number:06}", 0), 0),
            {
                "__address__": f"10.0.{number // 256}.{number % 256}:80",
                "instance": f"web-{number:06}",
                "env": "prod" * 50,
            },
        )
        for number in range(count)
    ]


def content(*pieces: bytes) -> PublishedContent:
    return PublishedContent("kind", lambda: iter(pieces))


@pytest.fixture
def serving(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Serve contents where the daemon would."""
    threads = Threads()

    def serve(**contents: PublishedContent) -> Path:
        application = Application()
        add_published(application, lambda: contents, dict)
        control = ControlSocket(tmp_path / "control.sock", application)
        control.start()
        threads.start("control socket", control)
        return tmp_path / "control.sock"

    yield serve
    assert threads.stop(timeout=5) == []


@given(st.lists(st.tuples(*[st.text()] * 3, st.integers(0, 9), st.integers(0, 9), st.text(min_size=1)), max_size=9))
def test_groups_that_are_written_as_lines_are_read_back(
    tmp_path_factory: pytest.TempPathFactory, facts: list[tuple[str, str, str, int, int, str]]
) -> None:
    groups = [
        TargetGroup.render(GroupKey(Key(plane, mesh, name, ordinal), place), {"__address__": address})
        for plane, mesh, name, ordinal, place, address in facts
    ]
    path = tmp_path_factory.mktemp("lines") / "lines"
    path.write_bytes(b"".join(lines_of(groups)))
    assert list(groups_in(path)) == groups


def test_without_a_name_the_names_are_told(serving: Callable[..., Path]) -> None:
    path = serving(one=content(), two=content())
    assert ask(path, "GET", "/-/published") == (200, '{"one":"kind","two":"kind"}\n')
    assert ask(path, "GET", "/-/received") == (200, "{}\n")


def test_twenty_thousand_targets_are_streamed_in_little_time(serving: Callable[..., Path]) -> None:
    groups = groups_of(20_000)
    path = serving(one=PublishedContent("kind", lambda: lines_of(groups)))
    begun = time.perf_counter()
    with download(path, "/-/published?output=one") as file:
        assert file.stat().st_size > 2 * 10**6
        assert list(groups_in(file)) == groups
    assert time.perf_counter() - begun < 3, "0.1 s when nothing else runs"
    assert not file.exists()


def test_a_download_is_in_no_directory_so_that_ctrl_c_leaves_none_behind(
    serving: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = serving(one=content())
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    with download(path, "/-/published?output=one"):
        assert list((tmp_path / "temporary").iterdir()) == []


def test_nothing_is_nothing(serving: Callable[..., Path]) -> None:
    with download(serving(one=content()), "/-/published?output=one") as file:
        assert list(groups_in(file)) == []


def test_an_unknown_name_is_refused(serving: Callable[..., Path]) -> None:
    path = serving(one=content())
    with pytest.raises(KumaSDError, match="there is no output 'two'"), download(path, "/-/published?output=two"):
        pass
    with pytest.raises(KumaSDError, match="no control plane 'x'"), download(path, "/-/received?control-plane=x"):
        pass


def test_a_stream_that_breaks_off_is_an_error_and_no_short_list(serving: Callable[..., Path]) -> None:
    def broken() -> Iterable[bytes]:
        yield from lines_of(groups_of(1000))
        raise ZeroDivisionError

    path = serving(one=PublishedContent("kind", broken))
    with pytest.raises(KumaSDError, match="does not answer"), download(path, "/-/published?output=one"):
        pass
    assert ask(path, "GET", "/-/published")[0] == 200


def test_a_download_is_bounded(serving: Callable[..., Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "PIECE", 1000)
    monkeypatch.setattr(client, "LARGEST_DOWNLOAD", 10_000)
    path = serving(one=content(*[b"x" * 1000] * 100))
    with pytest.raises(KumaSDError, match="has no end"), download(path, "/-/published?output=one"):
        pass


def test_no_daemon_is_an_error_of_its_own(tmp_path: Path) -> None:
    with pytest.raises(NoDaemonError), download(tmp_path / "control.sock", "/-/published"):
        pass
