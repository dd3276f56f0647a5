"""Endpoints with which operators control a running daemon."""

from collections.abc import Callable, Iterable

from kuma_sd.web.application import Application, Refused, Request, Response


def add_control(
    application: Application, accept: Callable[[str | None], Iterable[str]], reload: Callable[[], Iterable[str]]
) -> None:
    """Add ``POST /-/accept`` and ``POST /-/reload``.

    Both functions are called in a listener's thread, and return the lines of the response. A KumaSDError that they
    raise becomes the response.

    Args:
        application: the application to add them to.
        accept: releases the targets held by the guard of the control plane, or kept by the output, of that name; None
            releases all; raises KeyError if no control plane or output has that name.
        reload: reloads the settings.
    """

    def answer_accept(request: Request) -> Response:
        name = request.query.get("control-plane")
        try:
            return Response.lines(*accept(name))
        except KeyError as error:
            raise Refused(404, f"there is no control plane or output {name!r}") from error

    application.add("POST", "/-/accept", answer_accept, query=["control-plane"])
    application.add("POST", "/-/reload", lambda _request: Response.lines(*reload()))
