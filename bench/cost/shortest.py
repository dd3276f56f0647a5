"""The naive program: the shortest program that converts a response to a file for Prometheus, once."""

import json
import os
import time
from pathlib import Path

from kuma_sd.proto.discovery_pb2 import DiscoveryResponse
from kuma_sd.proto.mads_v1_pb2 import MonitoringAssignment


def naive(response: bytes, path: Path) -> float:
    """Turn a response over gRPC into a file; returns how much CPU it took, in seconds."""
    begun = time.thread_time()
    groups = []
    for resource in DiscoveryResponse.FromString(response).resources:
        assignment = MonitoringAssignment.FromString(resource.value)
        for target in assignment.targets:
            labels = {name.replace("-", "_"): value for name, value in target.labels.items()}
            labels |= {"__scheme__": target.scheme, "__metrics_path__": target.metrics_path}
            labels |= {"mesh": assignment.mesh, "service": assignment.service, "job": assignment.service}
            labels |= {"instance": target.name, "dataplane": target.name}
            groups.append({"targets": [target.address], "labels": labels})
    with path.open("wb") as file:
        file.write(json.dumps(groups, sort_keys=True).encode())
        file.flush()
        os.fsync(file.fileno())
    path.replace(path.with_suffix(".naive"))
    return time.thread_time() - begun
