"""Endpoints that return received targets and published targets."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from kuma_sd.core.target_group import GroupKey, TargetGroup
from kuma_sd.web.application import Application, Handler, Refused, Request, Response

GROUPS_IN_A_CHUNK = 256
"""Number of groups encoded at once; small, so that other threads get the interpreter in between."""

BYTES_IN_A_BATCH = 2**20
"""Number of bytes read at once."""


class PublishedContent(NamedTuple):
    """The content of an output or a control plane.

    Args:
        about: the plugin of an output, or the address of a control plane.
        pieces: generates the content.
    """

    about: str
    pieces: Callable[[], Iterable[bytes]]


Contents = Mapping[str, PublishedContent]
"""Content by name of the output or control plane."""


class _Line(msgspec.Struct):
    key: GroupKey
    group: msgspec.Raw


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(_Line)


def add_published(
    application: Application, published: Callable[[], Contents], received: Callable[[], Contents]
) -> None:
    """Add ``GET /-/published`` and ``GET /-/received``.

    Without a query they return a JSON object: the names of outputs or control planes, each with its `about`. With a
    name in ``output`` or ``control-plane`` they stream its content. Both functions, and the generators that they
    return, run in a listener's thread.

    Args:
        application: the application to add them to.
        published: returns each output's last publication by name, as written by `lines_of()`.
        received: returns each control plane's targets after its guard by name, as a saved snapshot.
    """
    application.add("GET", "/-/published", _handler("output", published, "application/x-ndjson"), ["output"])
    application.add(
        "GET", "/-/received", _handler("control-plane", received, "application/octet-stream"), ["control-plane"]
    )


def lines_of(groups: Sequence[TargetGroup]) -> Iterator[bytes]:
    """Yield groups as lines of JSON, ``{"key": [[control plane, mesh, name, ordinal], place], "group": {…}}``."""
    for start in range(0, len(groups), GROUPS_IN_A_CHUNK):
        chunk = groups[start : start + GROUPS_IN_A_CHUNK]
        yield _ENCODER.encode_lines([_Line(group.key, msgspec.Raw(group.json)) for group in chunk])


def groups_in(path: Path) -> Iterator[TargetGroup]:
    """Yield the groups in a file written by `lines_of()`.

    Raises:
        ValueError: the file has other content.
    """
    with path.open("rb") as file:
        while lines := file.readlines(BYTES_IN_A_BATCH):
            for line in _DECODER.decode_lines(b"".join(lines)):
                # Copy: a msgspec.Raw keeps its whole batch in memory.
                yield TargetGroup(line.key, bytes(line.group))


def _handler(kind: str, contents: Callable[[], Contents], content_type: str) -> Handler:
    def answer(request: Request) -> Response:
        known = contents()
        if kind not in request.query:
            index = {name: content.about for name, content in known.items()}
            return Response(_ENCODER.encode(index) + b"\n", content_type="application/json")
        name = request.query[kind]
        if name not in known:
            raise Refused(404, f"there is no {kind.replace('-', ' ')} {name!r}")
        return Response(known[name].pieces(), content_type=content_type)

    return answer
