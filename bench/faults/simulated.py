"""Run a simulated control plane in a separate process, which can be killed, frozen and reconfigured."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping

from killable import Killable
from reader import Key

from kuma_sd.simulator import Dataplane, SimulatedControlPlane, World

Versions = Mapping[Key, str]
"""What is served: the service of each target, which serves as its version."""


class Simulated(Killable[str]):
    """A control plane that comes back at the same port whenever it is started."""

    def __init__(self) -> None:
        super().__init__()
        self.port = 0

    def start(self, versions: Versions) -> None:
        """Start it, as a new process that serves this; returns once it listens."""
        self._process = subprocess.Popen(  # noqa: S603 (this file)
            [sys.executable, __file__, str(self.port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.serve(versions)
        self.port = self._answer()

    def serve(self, versions: Versions) -> None:
        """Serve this from now on; a frozen one does when it is thawed."""
        self._say({"serve": [[mesh, name, service] for (mesh, name), service in versions.items()]})

    def send(self, data: bytes) -> None:
        """Send bytes as a response over every stream."""
        self._say({"send": data.hex()})

    def _say(self, what: Mapping[str, object]) -> None:
        assert self._process
        assert self._process.stdin
        self._process.stdin.write(json.dumps(what) + "\n")
        self._process.stdin.flush()

    def _answer(self) -> int:
        assert self._process
        assert self._process.stdout
        return int(self._process.stdout.readline())


@contextlib.contextmanager
def simulating(versions: Versions) -> Iterator[Simulated]:
    """Run a control plane while the block runs."""
    simulated = Simulated()
    simulated.start(versions)
    try:
        yield simulated
    finally:
        simulated.kill()


def main(port: int) -> None:
    """Execute the commands on stdin until it ends."""
    control_plane = SimulatedControlPlane(World(), port=port, refresh=0)
    started = False
    for line in sys.stdin:
        command = json.loads(line)
        if "send" in command:
            control_plane.send(bytes.fromhex(command["send"]))
            continue
        control_plane.world.replace(Dataplane(name, mesh, service) for mesh, name, service in command["serve"])
        if not started:
            started = True
            print(control_plane.start().rpartition(":")[2], flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
