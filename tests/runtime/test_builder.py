"""From settings to open objects: what an instance hands to the daemon stays as long as the instance."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from settings_kit import plugins_of, settings_of

from kuma_sd import (
    TEXT,
    ConfigError,
    Context,
    Output,
    OutputPlugin,
    PluginError,
    Publication,
    Snapshot,
    SourcePlugin,
    SourceStatus,
    TransformPlugin,
    option,
)
from kuma_sd.plugin.manager import Plugins
from kuma_sd.runtime.builder import build
from kuma_sd.settings.model import Settings

if TYPE_CHECKING:
    from wsgiref.types import StartResponse, WSGIEnvironment

    from prometheus_client import Metric


@dataclass(frozen=True)
class PageOptions:
    path: str = option("/sd", TEXT, "Where it is served.")


class Page(Output):
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
    def __init__(self, _options: object, _context: Context) -> None:
        self.status = SourceStatus()

    def __iter__(self) -> Iterator[Snapshot]:
        return iter(())

    def close(self) -> None: ...


DESCRIBED: dict[str, SourcePlugin | OutputPlugin] = {
    "source.grpc": SourcePlugin(Silent),
    "output.page": OutputPlugin(Page, PageOptions),
}
PLUGINS = plugins_of(DESCRIBED)


def settings(directory: Path, *sections: str) -> Settings:
    file = directory / "kuma-sd.conf"
    file.write_text("[kuma-sd]\ncp-address = grpc://localhost:5676\n" + "\n".join(sections))
    return settings_of(file=file, plugins=PLUGINS)


def test_what_an_instance_serves_is_found_by_its_path(tmp_path: Path) -> None:
    components = build(settings(tmp_path, "output = page more=page", "[more]", "path = /more"))
    assert set(components.served) == {"/sd", "/more"}
    more = components.contributions["output", "more"]
    assert (len(more.collectors), [dict(facts()) for facts in more.reports]) == (1, [{"path": "/more"}])


def test_an_instance_logs_under_its_name(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    components = build(settings(tmp_path, "output = page more=page", "[more]", "path = /more"))
    components.contexts["output", "more"].log.warning("look")
    components.contexts["source", ""].log.warning("look")
    assert caplog.messages == ["look output=more", "look control_plane=grpc://localhost:5676"]
    assert components.contexts["source", ""].title == "grpc://localhost:5676"
    assert str(components.contexts["source", ""].address) == "grpc://localhost:5676"


def test_every_instance_has_a_state_directory_of_its_own(tmp_path: Path) -> None:
    state = tmp_path / "state"
    components = build(settings(tmp_path, f"state-dir = {state}", "output = page more=page", "[more]", "path = /more"))
    assert not state.exists()
    assert components.contexts["output", "more"].state_dir == state / "plugins/output.more"
    assert components.contexts["source", ""].state_dir == state / "plugins/source"
    assert sorted(path.name for path in (state / "plugins").iterdir()) == ["output.more", "source"]


def test_chains_share_a_transform_of_one_name() -> None:
    flags = ["--output=one=page two=page", "--two-path=/two", "--two-label-profile=both", "--transform=upper"]
    upper = TransformPlugin(lambda _options, _context: lambda labels, _target: [labels])
    plugins = plugins_of({**DESCRIBED, "transform.upper": upper})
    components = build(settings_of(*flags, plugins=plugins))
    (one, two) = [chain.transforms[0] for _, chain in components.chains]
    assert one is two is components.transforms["upper"][1]
    again = build(settings_of(*flags, "--max-labels=7", plugins=plugins), components)
    assert again.transforms["upper"][1] is one
    assert [chain.limits.labels for _, chain in again.chains] == [7, 7]


def test_an_output_that_is_none_is_refused() -> None:
    plugins = plugins_of({**DESCRIBED, "output.none": OutputPlugin(lambda _options, _context: None)})  # type: ignore[arg-type,return-value] # (the fault)
    with pytest.raises(
        PluginError, match=r"^output none of .* fails: it opened None, which is no Output; inherit kuma_sd.Output$"
    ):
        build(settings_of("--output=none", plugins=plugins))


def test_two_instances_that_want_one_path_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"output page and output more both want to serve /sd; give one another path"):
        build(settings(tmp_path, "output = page more=page"))


@pytest.mark.parametrize("other", ["{}/kuma.json", "{}/./kuma.json", "{}/link.json"])
def test_two_outputs_that_write_one_file_are_refused(tmp_path: Path, other: str) -> None:
    (tmp_path / "link.json").symlink_to(tmp_path / "kuma.json")
    flags = ["--output=one=file_sd", "--output=two=file_sd", f"--one-path={tmp_path}/kuma.json"]
    with pytest.raises(
        ConfigError, match=r"^flag --two-path: outputs one and two both write '.*'; give one another path$"
    ):
        build(settings_of(*flags, f"--two-path={other.format(tmp_path)}", plugins=Plugins()))


def test_everything_that_cannot_be_built_is_told_at_once(tmp_path: Path) -> None:
    flags = ["--cp-address=grpc://a?b", "--output=one=file_sd", f"--one-path={tmp_path}/kuma.txt", "--transform=labels"]
    with pytest.raises(ConfigError) as raised:
        build(settings_of(*flags, plugins=Plugins()))
    assert [mistake.split(": ")[:2] for mistake in raised.value.mistakes] == [
        ["flag --cp-address", "source grpc://a?********"],
        ["flag --one-path", "output one"],
        ["flag --transform", "transform labels"],
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
