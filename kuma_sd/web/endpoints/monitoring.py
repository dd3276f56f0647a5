"""Endpoints for monitoring: health, readiness, metrics and status."""

from collections.abc import Callable, Iterable

from kuma_sd.web.application import Application, Request, Response


def add_monitoring(
    application: Application,
    unhealthy: Callable[[], Iterable[str]],
    unready: Callable[[], Iterable[str]],
    metrics: Callable[[str], tuple[bytes, str]],
    status: Callable[[], bytes],
) -> None:
    """Add ``GET /-/healthy``, ``GET /-/ready``, ``GET /metrics`` and ``GET /api/status``.

    All functions are called in a listener's thread.

    Args:
        application: the application to add them to.
        unhealthy: returns the reasons why the daemon is not healthy; none if it is.
        unready: returns the reasons why it is not ready; none if it is.
        metrics: returns the metrics and their content type, for the client's Accept header.
        status: returns the whole status as JSON.
    """

    def answer_metrics(request: Request) -> Response:
        content, content_type = metrics(request.headers.get("accept", ""))
        return Response(content, content_type=content_type)

    def answer_status(_request: Request) -> Response:
        return Response(status(), content_type="application/json", headers={"Cache-Control": "no-store"})

    application.add("GET", "/-/healthy", lambda _request: _verdict("healthy", unhealthy()))
    application.add("GET", "/-/ready", lambda _request: _verdict("ready", unready()))
    application.add("GET", "/metrics", answer_metrics)
    application.add("GET", "/api/status", answer_status)


def _verdict(what: str, problems: Iterable[str]) -> Response:
    lines = list(problems)
    return Response.lines(f"not {what}", *lines, status=503) if lines else Response.lines(what)
