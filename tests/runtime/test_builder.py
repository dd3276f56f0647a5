"""From settings to open objects: what an instance hands to the daemon stays as long as the instance."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from settings_kit import Everything, settings_of

from kuma_sd import TEXT, ConfigError, Context, OutputPlugin, Publication, SourcePlugin, hookimpl, option
from kuma_sd.plugin.manager import Direct, Plugins
from kuma_sd.runtime.builder import build
from kuma_sd.settings.loader import Settings

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from prometheus_client import Metric


@dataclass(frozen=True)
class PageOptions:
    path: str = option("/sd", TEXT, "Where it is served.")


class Page:
    """An output that serves something, tells a fact, and hands over a collector."""

    def __init__(self, options: PageOptions, context: Context) -> None:
        context.serve(options.path, self.answer)
        context.register(self)
        context.report(lambda: {"path": options.path})

    def answer(self, _environment: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        start_response("200 OK", [])
        return [b"page"]

    def collect(self) -> "Iterable[Metric]":
        return ()

    def start(self) -> None: ...
    def publish(self, publication: Publication) -> None: ...
    def close(self) -> None: ...


class Silent:
    def __init__(self, *_arguments: object) -> None: ...


class Serving(Everything):
    @hookimpl
    def kuma_sd_sources(self) -> Iterator[SourcePlugin]:
        yield SourcePlugin("silent", ("grpc",), Silent)  # type: ignore[arg-type]  # (never iterated here)

    @hookimpl
    def kuma_sd_outputs(self) -> Iterator[OutputPlugin]:
        yield OutputPlugin("page", Page, PageOptions)


PLUGINS = Plugins([Direct(name, Serving()) for name in ("source.grpc", "output.page")])


def settings(directory: Path, *sections: str) -> Settings:
    file = directory / "kuma-sd.conf"
    file.write_text("[kuma-sd]\ncp-address = grpc://localhost:5676\n" + "\n".join(sections))
    return settings_of(file=file, plugins=PLUGINS)


def test_what_an_instance_serves_is_found_by_its_path(tmp_path: Path) -> None:
    components = build(settings(tmp_path, "output = page more=page", "[more]", "path = /more"))
    assert set(components.served) == {"/sd", "/more"}
    more = components.contexts["output", "more"]
    assert (len(more.collectors), [dict(facts()) for facts in more.facts]) == (1, [{"path": "/more"}])


def test_two_instances_that_want_one_path_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"output page and output more both want to serve /sd; give one another path"):
        build(settings(tmp_path, "output = page more=page"))


@pytest.mark.parametrize("other", ["{}/kuma.json", "{}/./kuma.json", "{}/link.json"])
def test_two_outputs_that_write_one_file_are_refused(tmp_path: Path, other: str) -> None:
    (tmp_path / "link.json").symlink_to(tmp_path / "kuma.json")
    flags = ["--output=one=file_sd", "--output=two=file_sd", f"--one-path={tmp_path}/kuma.json"]
    with pytest.raises(ConfigError, match=r"^outputs one and two both write '.*'; give one another path$"):
        build(settings_of(*flags, f"--two-path={other.format(tmp_path)}", plugins=Plugins()))


def test_everything_that_cannot_be_built_is_told_at_once(tmp_path: Path) -> None:
    flags = [
        "--cp-address=grpc://a?b",
        "--output=one=file_sd",
        f"--one-path={tmp_path}/kuma.txt",
        "--transform=relabel",
    ]
    with pytest.raises(ConfigError) as raised:
        build(settings_of(*flags, plugins=Plugins()))
    assert [mistake.split(":")[0] for mistake in raised.value.mistakes] == [
        "source grpc",
        "output one",
        "transform relabel",
    ]


def test_what_was_handed_over_stays_with_an_instance_that_stays_and_goes_with_one_that_goes(tmp_path: Path) -> None:
    first = build(settings(tmp_path, "output = page more=page", "[more]", "path = /more"))
    second = build(settings(tmp_path, "output = page more=page", "[more]", "path = /other"), first)
    assert second.contexts["output", "page"] is first.contexts["output", "page"]
    assert second.contexts["source", ""] is first.contexts["source", ""]
    assert set(second.served) == {"/sd", "/other"}


@pytest.mark.parametrize("path", ["sd", "", "/a b", "/a?b", "/a%2Fb", "//a", "/../a", "/a\\b", "/a#b"])
def test_only_plain_paths_are_served(path: str) -> None:
    with pytest.raises(ConfigError, match="is not a path that can be served; write it like /sd"):
        Context("page").serve(path, Page(PageOptions(), Context("page")).answer)
