"""What a running daemon has now: what it received, and what each output published."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from kuma_sd.core.target_group import GroupKey, TargetGroup
from kuma_sd.web.application import Application, Handler, Refused, Request, Response

GROUPS_IN_A_CHUNK = 256
"""How many groups are written at once: few enough that nobody else waits for the interpreter."""

BYTES_IN_A_BATCH = 2**20
"""How much is read at once."""


class PublishedContent(NamedTuple):
    """What can be asked for.

    Args:
        about: what it is of: the kind of an output, the address of a control plane.
        pieces: makes it.
    """

    about: str
    pieces: Callable[[], Iterable[bytes]]


Contents = Mapping[str, PublishedContent]
"""By name."""


class _Line(msgspec.Struct):
    key: GroupKey
    group: msgspec.Raw


_ENCODER = msgspec.json.Encoder()
_DECODER = msgspec.json.Decoder(_Line)


def add_published(
    application: Application, published: Callable[[], Contents], received: Callable[[], Contents]
) -> None:
    """Add ``GET /-/published`` and ``GET /-/received``.

    Without a query they answer with an object in JSON: the names of outputs, or control planes, and what each is about.
    With one of them in ``output``, or ``control-plane``, they stream its content. Both functions are called in a thread
    of the listener, and so is what they return.

    Args:
        application: where to add them.
        published: returns what each output published last, by its name, as `lines_of()` writes it.
        received: returns what each control plane has after its guard, by its name, as a saved snapshot.
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
    """Yield the groups in a file that `lines_of()` wrote.

    Raises:
        ValueError: something else is in it.
    """
    with path.open("rb") as file:
        while lines := file.readlines(BYTES_IN_A_BATCH):
            for line in _DECODER.decode_lines(b"".join(lines)):
                # A Raw that is kept would keep the whole batch.
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
