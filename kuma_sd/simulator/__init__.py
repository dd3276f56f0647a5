"""A simulated control plane, for users, the demo, tests and benchmarks.

It serves MADS as Kuma does: all versions on one port, or those of one Kuma version. It serves a generated world, one
built by hand, or a recording of a real control plane::

    with SimulatedControlPlane(World([Dataplane("backend-01")]), refresh=0) as control_plane:
        print(control_plane.url)
        control_plane.world.add(Dataplane("backend-02"))
        control_plane.wait_for(lambda counts: counts.acks == 2)
"""

import os

# Without this, gRPC writes to stderr, about ports in use for example. gRPC reads the variable when it is imported.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

from kuma_sd.simulator.api_server import ApiServer
from kuma_sd.simulator.control_plane import SimulatedControlPlane
from kuma_sd.simulator.dataplane import Dataplane
from kuma_sd.simulator.generated_world import GeneratedWorld
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
