"""What an operator may ask of a running daemon."""

from collections.abc import Callable, Iterable

from kuma_sd.web.application import Application, Refused, Request, Response


def add_control(
    application: Application, accept: Callable[[str | None], Iterable[str]], reload: Callable[[], Iterable[str]]
) -> None:
    """Add ``POST /-/accept`` and ``POST /-/reload``.

    Both functions are called in a thread of the listener, and return what the operator is told, line by line. What
    they raise as KumaSDError is told too.

    Args:
        application: where to add them.
        accept: lets go of what is held by the guard of the control plane, or kept by the output, of that name; with
            None of all; raises KeyError if there is none of that name.
        reload: reads the settings again.
    """

    def answer_accept(request: Request) -> Response:
        name = request.query.get("control-plane")
        try:
            return Response.lines(*accept(name))
        except KeyError as error:
            raise Refused(404, f"there is no control plane or output {name!r}") from error

    application.add("POST", "/-/accept", answer_accept, query=["control-plane"])
    application.add("POST", "/-/reload", lambda _request: Response.lines(*reload()))
