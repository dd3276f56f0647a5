import gc
import random
import tracemalloc

import pytest
from resources import packed

from kuma_sd.mads.codecs.v1 import V1_PROTOBUF
from kuma_sd.mads.decoder import Decoder, MadsResponse
from kuma_sd.mads.plugin import MadsOptions
from kuma_sd.mads.source import MadsSource
from kuma_sd.pipeline.chain import Chain
from kuma_sd.prometheus.label_profiles import LabelProfile
from kuma_sd.proto.mads_v1_pb2 import MonitoringAssignment
from kuma_sd.simulator import Dataplane
from kuma_sd.testing import control_plane


def resource(number: int, version: int = 0) -> bytes:
    message = MonitoringAssignment(mesh="default", service="backend")
    labels = {"env": "prod", "version": str(version)}
    message.targets.add(name=f"backend-{number:05}", address=f"192.0.2.1:{number}", labels=labels)
    return packed(message)


class Way:
    """Everything between a response and a publication, without threads."""

    def __init__(self) -> None:
        self.decoder = Decoder("")
        self.chain = Chain(LabelProfile("kuma-prometheus-sd"))

    def send(self, resources: list[bytes]) -> None:
        """Let a response with these resources pass, each newly made and in random order, as from the wire."""
        fresh = [bytes(bytearray(resource)) for resource in resources]
        random.shuffle(fresh)
        assignments, _ = self.decoder.decode(MadsResponse(V1_PROTOBUF, fresh))
        self.last = self.chain.publication(assignments, received=1.0)


def test_one_change_among_a_thousand_is_decoded_transformed_and_rendered_once() -> None:
    way, resources = Way(), [resource(number) for number in range(1000)]
    way.send(resources)
    before = way.last
    resources[500] = resource(500, version=1)
    way.send(resources)
    assert (way.decoder.decoded, way.chain.converted) == (1001, 1001)
    kept = set(map(id, before.groups))
    assert len([group for group in way.last.groups if id(group) not in kept]) == 1


def test_the_same_over_the_wire_and_after_a_reconnect() -> None:
    with control_plane(*(f"backend-{number}" for number in range(1000))) as kuma:
        source, chain = MadsSource(kuma.url, MadsOptions(), ""), Chain(LabelProfile("kuma-prometheus-sd"))
        for change in ("first", "second"):
            snapshots = iter(source)
            chain.publication(next(snapshots).assignments, received=1.0)
            before = (source._decoder.decoded, chain.converted)
            kuma.world.alter("backend-500", service=change)
            chain.publication(next(snapshots).assignments, received=2.0)
            assert (source._decoder.decoded, chain.converted) == (before[0] + 1, before[1] + 1)
            kuma.close()
            kuma.start()
        assert chain.converted == 1002
        source.close()


@pytest.mark.timeout(120)
def test_memory_stays_bounded_over_a_hundred_changes_of_ten_thousand() -> None:
    sizes = []
    tracemalloc.start()
    way, resources = Way(), [resource(number) for number in range(10_000)]
    try:
        for round_ in range(100):
            # Every target changes once in these hundred rounds.
            resources[round_ * 100 : round_ * 100 + 100] = [
                resource(number, version=round_ + 1) for number in range(round_ * 100, round_ * 100 + 100)
            ]
            way.send(resources)
            if round_ % 10 == 9:
                gc.collect()
                sizes.append(tracemalloc.get_traced_memory()[0])
    finally:
        tracemalloc.stop()
    assert max(sizes) < 1.05 * sizes[0]


def test_a_dataplane_that_comes_back_is_converted_once_more_and_no_other() -> None:
    with control_plane("a", "b") as kuma:
        source, chain = MadsSource(kuma.url, MadsOptions(), ""), Chain(LabelProfile("kuma-prometheus-sd"))
        snapshots = iter(source)
        chain.publication(next(snapshots).assignments, received=1.0)
        kuma.world.remove("a")
        chain.publication(next(snapshots).assignments, received=2.0)
        kuma.world.add(Dataplane("a"))
        chain.publication(next(snapshots).assignments, received=3.0)
        assert chain.converted == 3
        source.close()
