"""The status page of statuses and publications at hand, without a daemon."""

import io
import time
import xml.etree.ElementTree as ET
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from explain_kit import Steps, explain_inputs
from msgspec.structs import replace

from kuma_sd import Assignment, Publication, Target, TargetGroup
from kuma_sd.core.model import Key
from kuma_sd.core.source_status import SourceReport
from kuma_sd.core.target_group import GroupKey
from kuma_sd.explain import answer, containing, parse_selector
from kuma_sd.telemetry.chain_status import ChainStatus
from kuma_sd.telemetry.control_plane_status import ConnectionStatus, ControlPlaneStatus
from kuma_sd.telemetry.explanation import SearchResult
from kuma_sd.telemetry.history import History
from kuma_sd.telemetry.output_status import OutputStatus, PublishingStatus
from kuma_sd.telemetry.problems import problems_of
from kuma_sd.telemetry.publication_counts import Parts, Size
from kuma_sd.telemetry.status import Status
from kuma_sd.web.application import Application
from kuma_sd.web.page.handlers import add_page
from kuma_sd.web.page.page_data import PageData

NOW = time.time()


@dataclass
class Answered:
    """What a browser gets."""

    code: int
    headers: Mapping[str, str]
    text: str

    @property
    def document(self) -> ET.Element:
        """The page, read strictly: what is no well-formed XML is refused."""
        start = "<!doctype html>\n"
        assert self.text.startswith(start)
        return ET.fromstring(self.text.removeprefix(start))  # noqa: S314 (what we made ourselves)

    @property
    def words(self) -> str:
        """All that is to be read, with single blanks."""
        return " ".join(" ".join(self.document.itertext()).split())

    def all(self, tag: str, **attributes: str) -> list[ET.Element]:
        """Return elements with these attributes."""
        found = self.document.iter(tag)
        return [item for item in found if all(item.get(name) == value for name, value in attributes.items())]


@dataclass
class Page:
    """What there is to see, and who looks."""

    status: Status = field(default_factory=lambda: running())  # noqa: PLW0108 (it is defined below)
    history: History = field(default_factory=History)
    groups: Mapping[str, Sequence[TargetGroup]] = field(default_factory=dict)
    received: Sequence[Assignment] = ()
    steps: Steps = ()
    held: frozenset[str] = frozenset()
    may_change: bool = False
    accepted: list[str] = field(default_factory=list)

    def get(self, path: str = "/", query: str = "", method: str = "GET", **headers: str) -> Answered:
        """Ask for a page."""
        application = Application()
        add_page(application, self._page_data())
        environment: dict[str, Any] = {"REQUEST_METHOD": method, "PATH_INFO": path, "QUERY_STRING": query}
        environment |= {"CONTENT_LENGTH": "0", "wsgi.input": io.BytesIO()} | headers
        told: list[Any] = []
        body = b"".join(application(environment, lambda status, headers: told.extend([status, headers])))  # type: ignore[arg-type]
        return Answered(int(told[0].split()[0]), dict(told[1]), body.decode())

    def _page_data(self) -> PageData:
        where = explain_inputs(*self.received, steps=self.steps)

        def accept(name: str) -> None:
            if name not in [control_plane.name for control_plane in self.status.control_planes]:
                raise KeyError(name)
            self.accepted.append(name)

        def explain(text: str, limit: int, offset: int) -> SearchResult:
            return answer(where, parse_selector(text), "", limit, offset)

        return PageData(
            status=lambda: self.status,
            history=self.history,
            published=lambda: {name: Publication.of(groups, NOW) for name, groups in self.groups.items()},
            holds=lambda key: key.name in self.held,
            explain=explain,
            containing=lambda text, limit, offset: answer(where, containing(text), "", limit, offset),
            accept=accept,
            may_change=lambda: self.may_change,
        )


PARTS: dict[type, dict[str, type[Any]]] = {
    ControlPlaneStatus: {"source": SourceReport, "connection": ConnectionStatus},
    OutputStatus: {"chain": ChainStatus, "publishing": PublishingStatus, "size": Size, "parts": Parts},
}


def nested(kind: type, facts: dict[str, Any]) -> dict[str, Any]:
    """Return the fields of a status: the facts that belong to one of its parts are put into that part."""
    parts = {}
    for name, part in PARTS[kind].items():
        own = facts.keys() & part.__match_args__
        parts[name] = part(**{fact: facts[fact] for fact in own})
        facts = {fact: value for fact, value in facts.items() if fact not in own}
    return facts | parts


def plane(name: str = "east", **facts: Any) -> ControlPlaneStatus:
    """Return a control plane that is connected; the fields of its parts are given like its own."""
    known = {"title": name, "address": "grpc://cp:5676", "plugin": "mads", "connected": True, "protocol": "v1 gRPC"}
    known |= {"since": NOW - 7200, "last_response": NOW, "assignments": 2000, "snapshots": 41, "changed": NOW - 12}
    return ControlPlaneStatus(name=name, **nested(ControlPlaneStatus, known | facts))


def output(name: str = "file_sd", **facts: Any) -> OutputStatus:
    """Return an output that has published; the fields of its parts are given like its own."""
    known = {"plugin": "file_sd", "publications": 7, "last": NOW - 11, "groups": 2000, "targets": 2000}
    known |= {"label_profile": "kuma-prometheus-sd", "bytes": 640_000}
    return OutputStatus(name=name, **nested(OutputStatus, known | facts))


def running(*parts: ControlPlaneStatus | OutputStatus, **facts: Any) -> Status:
    """Return how a daemon is; without parts, one where all is well."""
    planes = tuple(part for part in parts if isinstance(part, ControlPlaneStatus)) or (plane(),)
    outputs = tuple(part for part in parts if isinstance(part, OutputStatus)) or (output(),)
    known: dict[str, Any] = {"control_planes": planes, "outputs": outputs}
    status = Status(version="1.2.3", now=NOW, started=NOW - 90_000, **(known | facts))
    return replace(status, problems=tuple(problems_of(status)))


def target_group(name: str, mesh: str = "default", **labels: str) -> TargetGroup:
    """Return a published target."""
    own = {"__address__": "10.0.0.1:5670", "mesh": mesh, "dataplane": name, "service": "web"}
    return TargetGroup.render(GroupKey(Key("", mesh, name, 0), 0), own | labels)


def only_named(*names: str) -> Any:
    """Return a transform that drops all others."""

    def keep(labels: dict[str, str], target: Target) -> list[dict[str, str]]:
        return [labels] if target.name in names else []

    return keep
