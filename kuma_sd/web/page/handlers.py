"""Answer the requests to the status page: the daemon's status, its published targets, explanations of targets."""

from kuma_sd.core.errors import ConfigError
from kuma_sd.telemetry.status import Status
from kuma_sd.web.application import Application, Refused, Request, Response
from kuma_sd.web.page.charts import DAY, HOUR, chart
from kuma_sd.web.page.files import add_files
from kuma_sd.web.page.flow import flow
from kuma_sd.web.page.grouped_problems import alike
from kuma_sd.web.page.page_data import PageData
from kuma_sd.web.page.rendering import render
from kuma_sd.web.page.search import FoundTarget, Turn, search

PER_PAGE = 50
"""Number of targets on a page."""

EXPLAINED = 20
"""Number of explanations on a page."""


def add_page(application: Application, page_data: PageData) -> None:
    """Add ``GET /``, ``POST /``, ``GET /targets``, ``GET /explain``, and the files they use.

    ``POST /`` with a ``control-plane`` in the query releases the targets that its guard holds.

    Args:
        application: the application to add them to.
        page_data: the data to show.
    """
    page = _Page(page_data)
    application.add("GET", "/", page.overview, query=["output"])
    application.add("POST", "/", page.accept, query=["control-plane"])
    application.add("GET", "/targets", page.targets, query=["q", "output", "held", "offset"])
    application.add("GET", "/explain", page.explain, query=["selector", "offset"])
    add_files(application)


class _Page:
    """The page's request handlers.

    Args:
        page_data: the data to show.
    """

    def __init__(self, page_data: PageData) -> None:
        self._page_data = page_data
        # Limit the CPU time of all concurrent searches to that of one.
        self._turn = Turn()

    def overview(self, request: Request) -> Response:
        """Show the daemon's status."""
        status = self._page_data.status()
        chosen = _choose(request.query.get("output"), [output_status.name for output_status in status.outputs])
        output = next((output_status for output_status in status.outputs if output_status.name == chosen), None)
        series = self._page_data.history.series(chosen)
        return render(
            "overview.html",
            now=status.now,
            status=status,
            problems=list(alike(status.problems)),
            changed=_changed(status),
            flow=flow(status),
            output=output,
            charts=[chart(HOUR, series.hour, status.now), chart(DAY, series.day, status.now)],
            recent=[entry for entry in self._page_data.history.recent if entry.output == chosen],
            may_change=self._page_data.may_change(),
        )

    def accept(self, request: Request) -> Response:
        """Release the targets that a control plane's guard holds, and show the page again."""
        name = request.query.get("control-plane")
        if name is None:
            raise Refused(400, "control-plane is missing from the query")
        try:
            self._page_data.accept(name)
        except KeyError as error:
            raise Refused(404, f"there is no control plane {name!r}") from error
        return Response(b"", 303, headers={"Location": "./"})

    def targets(self, request: Request) -> Response:
        """Show the targets that an output publishes, or those that match a search."""
        query, published = request.query, self._page_data.published()
        text, output = query.get("q", "").strip(), _choose(query.get("output"), list(published))
        offset, held, wrong = _number(query.get("offset", "0")), _switch(query.get("held", "")), ""
        found, missing = FoundTarget(), None
        publication = published.get(output)
        try:
            with self._turn:
                only = self._page_data.holds if held else None
                found = search(publication.groups if publication else (), text, range(offset, offset + PER_PAGE), only)
                if text and not held and not found.count and found.looked == found.total:
                    # A target that is not published may have been received.
                    missing = self._page_data.explained(text, EXPLAINED)
        except ConfigError as error:
            wrong = str(error)
        return render(
            "targets.html",
            code=400 if wrong else 200,
            outputs=list(published),
            output=output,
            text=text,
            held=held,
            wrong=wrong,
            found=found,
            missing=missing,
            offset=offset,
            per_page=PER_PAGE,
            holds=self._page_data.holds,
        )

    def explain(self, request: Request) -> Response:
        """Explain why targets are published as they are, or not at all."""
        text, offset = request.query.get("selector", "").strip(), _number(request.query.get("offset", "0"))
        answer, wrong = None, ""
        try:
            with self._turn:
                answer = self._page_data.explained(text, EXPLAINED, offset) if text else None
        except ConfigError as error:
            wrong = str(error)
        return render(
            "explain.html",
            code=400 if wrong else 200,
            text=text,
            wrong=wrong,
            answer=answer,
            offset=offset,
            per_page=EXPLAINED,
        )


def _choose(name: str | None, names: list[str]) -> str:
    """Return the requested output, or the first."""
    if name is not None and name not in names:
        raise Refused(404, f"there is no output {name!r}; there are: {', '.join(names) or 'none'}")
    return name if name is not None else next(iter(names), "")


def _changed(status: Status) -> float | None:
    """Return when a control plane's targets last changed."""
    return max(
        (control_plane.changed for control_plane in status.control_planes if control_plane.changed), default=None
    )


def _switch(text: str) -> bool:
    if text not in ("", "1"):
        raise Refused(400, "held is 1 or left out")
    return bool(text)


def _number(text: str) -> int:
    # Limit the digits before int() parses them.
    if not (text.isascii() and text.isdecimal() and len(text) < 10):  # noqa: PLR2004 (the limit above)
        raise Refused(400, f"{text!r} is no whole number")
    return int(text)
