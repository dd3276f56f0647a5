"""Serve the stylesheet, the script and the icon."""

import hashlib
from pathlib import Path

from kuma_sd.web.application import Application, Request, Response

_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}


def add_files(application: Application) -> None:
    """Add ``GET /-/page.css`` and the other files.

    Args:
        application: the application to add them to.
    """
    for path in sorted(Path(__file__).with_name("static").iterdir()):
        application.add("GET", f"/-/{path.name}", _File(path))


class _File:
    def __init__(self, path: Path) -> None:
        self._body = path.read_bytes()
        self._type = _TYPES[path.suffix]
        # no-cache lets browsers cache but revalidate: an upgrade of the daemon changes the files.
        self._headers = {"ETag": f'"{hashlib.sha256(self._body).hexdigest()[:32]}"', "Cache-Control": "no-cache"}

    def __call__(self, request: Request) -> Response:
        known = {tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")}
        if known & {self._headers["ETag"], "*"}:
            return Response((), 304, self._type, self._headers)
        return Response(self._body, 200, self._type, self._headers)
