"""From templates to answers. Jinja is loaded with the first page that somebody asks for."""

import functools
import time
from pathlib import Path
from typing import TYPE_CHECKING

from kuma_sd._version import __version__
from kuma_sd.system.log_format import escape
from kuma_sd.web.application import Response
from kuma_sd.web.page.words import FILTERS, link, matchers, matchers_of

if TYPE_CHECKING:
    from jinja2 import Environment

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cache-Control": "no-store",
    # With no-referrer, which is told elsewhere, browsers would hide from us that a form is our own.
    "Referrer-Policy": "same-origin",
}


def render(template: str, code: int = 200, **values: object) -> Response:
    """Answer with a page.

    Args:
        template: its name.
        code: the HTTP status.
        **values: what it shows; ``now`` is the present, if it is not said.
    """
    text = _environment().get_template(template).render({"now": time.time(), **values})
    return Response(text.encode(errors="replace"), code, "text/html; charset=utf-8", headers=HEADERS)


@functools.cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 (late, as said above)

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")),
        autoescape=True,
        auto_reload=False,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= FILTERS
    environment.globals |= {"link": link, "matchers": matchers, "matchers_of": matchers_of, "version": __version__}
    return environment


def _visible(value: object) -> object:
    """Make visible, in whatever a template shows, what has no shape of its own or turns the reading direction."""
    return escape(value) if type(value) is str else value
