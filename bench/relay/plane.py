"""Run a simulated control plane in a separate process; each line on stdin is a name and its new service."""

import sys

from kuma_sd.simulator import Dataplane, SimulatedControlPlane, World

LABELS = {name: f"{name}-value-of-this-dataplane" for name in ("env", "team", "version", "zone", "region", "tier")}

REFRESH = 1.0
"""How often it looks at its world, in seconds; Kuma's default."""


def name_of(number: int) -> str:
    """Return the name of a dataplane."""
    return f"backend-{number:06}"


def main(targets: int) -> None:
    """Execute commands until stdin ends."""
    world = World(Dataplane(name_of(number), labels=LABELS) for number in range(targets))
    with SimulatedControlPlane(world, refresh=REFRESH) as kuma:
        print(kuma.url, flush=True)
        for line in sys.stdin:
            name, service = line.split()
            world.alter(name, service=service)


if __name__ == "__main__":
    main(int(sys.argv[1]))
