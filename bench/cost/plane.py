"""A simulated control plane in a process of its own, which is told what to change and measures the floor."""

import contextlib
import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

from floor import floor

from kuma_sd.simulator import EVERYTHING, ControlPlane, GeneratedWorld, kuma
from kuma_sd.simulator.formats import GrpcV1, HttpV1
from kuma_sd.simulator.stream import shuffled


class Plane:
    """The process, as the benchmark sees it."""

    def __init__(self, targets: int, protocol: str) -> None:
        self._process = subprocess.Popen(  # noqa: S603 (this file)
            [sys.executable, __file__, str(targets), protocol], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.url = str(self._answer())

    def change(self, count: int) -> None:
        """Give so many targets, anywhere, another address."""
        self._ask("change", count)

    def restart(self) -> None:
        """Break all connections, and come back with equal content."""
        self._ask("restart")

    def floor(self, path: Path) -> float:
        """Return how long the floor takes with what is served now and the file that was made of it, in seconds."""
        return float(self._ask("floor", str(path)))

    def close(self) -> None:
        """End it."""
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
def serving(targets: int, protocol: str) -> Iterator[Plane]:
    """Run a control plane while the block runs."""
    plane = Plane(targets, protocol)
    try:
        yield plane
    finally:
        plane.close()


class _Served:
    """The control plane, in its process."""

    def __init__(self, targets: int, protocol: str) -> None:
        self._protocol = protocol
        self._random = random.Random(1)  # noqa: S311 (no secret)
        self._plane = ControlPlane(
            GeneratedWorld(targets), refresh=0.01, line=EVERYTHING if protocol == "gRPC" else kuma("2.14.3")
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
                one._replace(address=f"127.{n >> 16}.{n >> 8 & 255}.{n & 255}:99")
                for one, n in zip(some, numbers, strict=True)
            )
        )
        return ""

    def restart(self) -> str:
        self._plane.close()
        self._plane.start()
        return ""

    def floor(self, path: str) -> str:
        resources = shuffled(self._render())
        if isinstance(self._format, HttpV1):
            response = b"".join(self._format.pieces("1", resources))
        else:
            response = self._format.response("1", "1", resources)
        return str(floor(self._protocol, response, Path(path).read_bytes(), Path(path).with_suffix(".tmp")))


def main(targets: int, protocol: str) -> None:
    """Obey the commands on stdin until it ends."""
    served = _Served(targets, protocol)
    print(served.url, flush=True)
    commands: dict[str, Callable[..., str]] = {
        "change": served.change,
        "restart": served.restart,
        "floor": served.floor,
    }
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        print(commands[name](*arguments), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2])
