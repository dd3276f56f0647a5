"""Run a simulated control plane in a separate process, which makes changes on command and measures the floor."""

import contextlib
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from floor import floor
from shortest import naive

from kuma_sd.simulator import EVERYTHING, GeneratedWorld, SimulatedControlPlane, kuma
from kuma_sd.simulator.encoders import GrpcV1, HttpV1
from kuma_sd.simulator.stream import shuffled


class Least(NamedTuple):
    """The minimum cost of any program.

    Args:
        seconds: the floor of a client.
        size: of the response, in bytes.
    """

    seconds: float
    size: int


class Plane:
    """The client of the control plane's process.

    Args:
        targets: how many there are.
        protocol: gRPC or HTTP.
        padding: how many bytes each of them has in a label of its own.
    """

    def __init__(self, targets: int, protocol: str, padding: int = 0) -> None:
        self._process = subprocess.Popen(  # noqa: S603 (this file)
            [sys.executable, __file__, str(targets), protocol, str(padding)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid = self._process.pid
        self.url = str(self._answer())

    def change(self, count: int) -> None:
        """Change the address of this many random targets."""
        self._ask("change", count)

    def restart(self) -> None:
        """Restart with the same content: break all connections."""
        self._ask("restart")

    def least(self, path: Path) -> Least:
        """Return the least that what is served now takes, with the file that was made of it."""
        return Least(*json.loads(self._ask("least", str(path))))

    def naive(self, path: Path) -> float:
        """Return the CPU that the naive program takes for what is served now, in seconds."""
        return float(self._ask("naive", str(path)))

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.communicate()

    def _ask(self, *command: object) -> str:
        assert self._process.stdin
        self._process.stdin.write(json.dumps(command) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> str:
        assert self._process.stdout
        return self._process.stdout.readline().strip()


@contextlib.contextmanager
def serving(targets: int, protocol: str, padding: int = 0) -> Iterator[Plane]:
    """Run a control plane while the block runs."""
    plane = Plane(targets, protocol, padding)
    try:
        yield plane
    finally:
        plane.close()


class _Served:
    """The control plane, in its process."""

    def __init__(self, targets: int, protocol: str, padding: int) -> None:
        self._protocol = protocol
        self._random = random.Random(1)  # noqa: S311 (no secret)
        world = GeneratedWorld(targets)
        if padding:
            label = {"padding": "x" * padding}
            world.add(*(dataplane._replace(labels={**dataplane.labels, **label}) for dataplane in world.dataplanes))
        self._plane = SimulatedControlPlane(
            world, refresh=0.01, line=EVERYTHING if protocol == "gRPC" else kuma("2.14.3")
        )
        self._plane.start()
        self.url = self._plane.url
        self._format = GrpcV1() if protocol == "gRPC" else HttpV1()
        # Encodes only what changed since the last time.
        self._render = self._plane.world.renderer(self._format)

    def change(self, count: int) -> str:
        some = self._random.sample(self._plane.world.dataplanes, count)
        numbers = (self._random.getrandbits(24) for _ in some)
        self._plane.world.add(
            *(
                bucket_number._replace(address=f"127.{n >> 16}.{n >> 8 & 255}.{n & 255}:99")
                for bucket_number, n in zip(some, numbers, strict=True)
            )
        )
        return ""

    def restart(self) -> str:
        self._plane.close()
        self._plane.start()
        return ""

    def least(self, path: str) -> str:
        resources = shuffled(self._render())
        if isinstance(self._format, HttpV1):
            response = b"".join(self._format.pieces("1", resources))
        else:
            response = self._format.response("1", "1", resources)
        seconds = floor(self._protocol, response, Path(path).read_bytes(), Path(path).with_suffix(".tmp"))
        return json.dumps([seconds, len(response)])

    def naive(self, path: str) -> str:
        return str(naive(GrpcV1().response("1", "1", shuffled(self._render())), Path(path)))


def main(targets: int, protocol: str, padding: int) -> None:
    """Execute the commands on stdin until it ends."""
    served = _Served(targets, protocol, padding)
    print(served.url, flush=True)
    commands: dict[str, Callable[..., str]] = {
        "change": served.change,
        "restart": served.restart,
        "least": served.least,
        "naive": served.naive,
    }
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(commands[name](*arguments), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
