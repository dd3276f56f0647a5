"""The daemon, as its command runs it, except that it says when a response was there and when its file was durable.

Both moments are written to the descriptor that the first argument names. A response is there when all its bytes have
come and none was looked at; a file is durable when it is renamed and its directory synced. Nothing else differs.
"""

import os
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from kuma_sd import files
from kuma_sd.cli import main
from kuma_sd.mads import grpc_stream, long_poll
from kuma_sd.proto.discovery_pb2 import DiscoveryResponse


def _say(descriptor: int, what: str) -> None:
    os.write(descriptor, f"{what} {time.monotonic()}\n".encode())


def _time(descriptor: int) -> None:
    parse_grpc, parse_http, replace = grpc_stream._parse, long_poll._parse, files.replace  # noqa: SLF001 (see above)

    def parsing_grpc(data: bytes) -> DiscoveryResponse:
        _say(descriptor, "received")
        return parse_grpc(data)

    def parsing_http(body: bytes) -> long_poll._Message:
        _say(descriptor, "received")
        return parse_http(body)

    def replacing(path: Path, chunks: Iterable[bytes], mode: int = 0o644, group: str = "") -> None:
        replace(path, chunks, mode, group)
        if path.stem == "targets":
            _say(descriptor, "durable")

    named: list[tuple[object, str, Callable[..., object]]] = [
        (grpc_stream, "_parse", parsing_grpc),
        (long_poll, "_parse", parsing_http),
        (files, "replace", replacing),
    ]
    for module, name, function in named:
        setattr(module, name, function)


if __name__ == "__main__":
    _time(int(sys.argv.pop(1)))
    sys.argv[0] = "kuma-sd"
    sys.exit(main())
