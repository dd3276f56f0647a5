"""The daemon, as its command runs it, except that it says when it asked, got a response, and had a durable file of it.

These moments are written to the descriptor that the first argument names. A response is there when all its bytes have
come and none was looked at; a file is durable when it is renamed and its directory synced. Nothing else differs.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from kuma_sd.cli.main import main
from kuma_sd.mads import grpc_response, grpc_stream, http_long_poll, http_response
from kuma_sd.system.durable_file import replace_file
from kuma_sd_bundled.file_sd import target_file


def _say(descriptor: int, what: str) -> None:
    os.write(descriptor, f"{what} {time.monotonic()}\n".encode())


def _time(descriptor: int) -> None:
    replace = replace_file

    def before(what: str, function: Callable[..., object]) -> Callable[..., object]:
        def timed(*arguments: object, **named: object) -> object:
            _say(descriptor, what)
            return function(*arguments, **named)

        return timed

    def replacing(path: Path, chunks: Iterable[bytes], mode: int = 0o644, group: str = "") -> os.stat_result:
        written = replace(path, chunks, mode, group)
        if path.stem == "targets":
            _say(descriptor, "durable")
        return written

    named: list[tuple[object, str, Callable[..., object]]] = [
        (grpc_stream.GrpcStream, "_send", before("asked", grpc_stream.GrpcStream._send)),  # noqa: SLF001 (see above)
        (grpc_stream, "parse", before("received", grpc_response.parse)),
        (http_long_poll.LongPoll, "_poll", before("asked", http_long_poll.LongPoll._poll)),  # noqa: SLF001 (as above)
        (http_long_poll, "parse", before("received", http_response.parse)),
        (target_file, "replace_file", replacing),
    ]
    for owner, name, function in named:
        setattr(owner, name, function)


if __name__ == "__main__":
    _time(int(sys.argv.pop(1)))
    sys.argv[0] = "kuma-sd"
    sys.exit(main())
