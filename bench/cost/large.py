"""Measure very large responses: one message of 400 MB over gRPC, one body of 500 MB over HTTP."""

import tempfile
from dataclasses import dataclass
from pathlib import Path

import msgspec
from plane import Least, serving
from watched import watching

SIZES = {"gRPC": 400_000_000, "HTTP": 500_000_000}
PADDING = 2_000
LEAST_BYTES_OF_A_TARGET = 2_300
"""With its padding; so that a response is a little larger than asked."""


class _Labels(msgspec.Struct, frozen=True):
    mesh: str
    instance: str


class _Group(msgspec.Struct, frozen=True):
    labels: _Labels


_DECODER = msgspec.json.Decoder(list[_Group])


@dataclass(frozen=True)
class Passed:
    """A large response that became a file.

    Args:
        protocol: how it came.
        targets: how many were served.
        written: how many different ones are in the file.
        seconds: from response received to file durable.
        cpu: of the whole process, from its start, in seconds.
        memory: the most that it had, in MB.
        least: the floor, and the size of the response.
    """

    protocol: str
    targets: int
    written: int
    seconds: float
    cpu: float
    memory: float
    least: Least


def large(protocol: str, size: int) -> Passed:
    """Process a response of at least this many bytes."""
    targets = size // LEAST_BYTES_OF_A_TARGET
    with tempfile.TemporaryDirectory() as folder, serving(targets, protocol, PADDING) as plane:
        path = Path(folder) / "targets.json"
        with watching(
            Path(folder), f"--cp-address={plane.url}", f"--output-file={path}", "--max-message-size=1GiB"
        ) as daemon:
            moments = daemon.until("durable")
            cpu, memory = daemon.settle(), daemon.memory()
        least = plane.least(path)
        written = len({group.labels for group in _DECODER.decode(path.read_bytes())})
    return Passed(protocol, targets, written, moments["durable"] - moments["received"], cpu, memory, least)
