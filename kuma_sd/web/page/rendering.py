"""Render templates into responses. Jinja is loaded at the first request of a page."""

import functools
import time
from pathlib import Path
from typing import TYPE_CHECKING

from kuma_sd._version import __version__
from kuma_sd.system.log_format import escape
from kuma_sd.web.application import Response
from kuma_sd.web.page.response_headers import HEADERS
from kuma_sd.web.page.template_filters import FILTERS, link, matchers, matchers_of

if TYPE_CHECKING:
    from jinja2 import Environment


def render(template: str, code: int = 200, **values: object) -> Response:
    """Render a page.

    Args:
        template: the template's name.
        code: the HTTP status.
        **values: the template's variables; ``now`` defaults to the current time.
    """
    text = _environment().get_template(template).render({"now": time.time(), **values})
    return Response(text.encode(errors="replace"), code, "text/html; charset=utf-8", headers=HEADERS)


@functools.cache
def _environment() -> "Environment":
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 (imported late, see the module's docstring)

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
    """Escape, in all values that templates show, characters that are invisible or change the reading direction."""
    return escape(value) if type(value) is str else value
