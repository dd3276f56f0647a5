"""A control plane to try things on: for users, the demo, tests and benchmarks.

It speaks MADS as Kuma does, every version of it on one port or what one version of Kuma speaks. It serves a generated
world, one made by hand, or a recording of a real control plane::

    with SimulatedControlPlane(World([Dataplane("backend-01")]), refresh=0) as control_plane:
        print(control_plane.url)
        control_plane.world.add(Dataplane("backend-02"))
        control_plane.wait_for(lambda counts: counts.acks == 2)
"""

import os

# gRPC would write to stderr on its own, of ports that are taken, for example. It reads this when it is first imported.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from kuma_sd.simulator.api_server import ApiServer
from kuma_sd.simulator.control_plane import SimulatedControlPlane
from kuma_sd.simulator.dataplane import Dataplane
from kuma_sd.simulator.generated import GeneratedWorld
from kuma_sd.simulator.kuma_versions import EVERYTHING, KumaVersion, kuma
from kuma_sd.simulator.recording import Recording
from kuma_sd.simulator.traffic import TrafficCounts
from kuma_sd.simulator.world import World

__all__ = [
    "EVERYTHING",
    "ApiServer",
    "Dataplane",
    "GeneratedWorld",
    "KumaVersion",
    "Recording",
    "SimulatedControlPlane",
    "TrafficCounts",
    "World",
    "kuma",
]
