"""How much work a change makes, in numbers that are the same on every machine: a lost optimisation fails here."""

import gc
import random
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from resources import packed

from kuma_sd.core.mailbox import Mailbox
from kuma_sd.core.model import Snapshot
from kuma_sd.core.publication import Publication
from kuma_sd.mads.codecs import ResourceCodec
from kuma_sd.mads.codecs.v1 import V1_PROTOBUF
from kuma_sd.mads.codecs.v1_json import V1_JSON
from kuma_sd.mads.decoder import Decoder, MadsResponse
from kuma_sd.pipeline.chain import Chain
from kuma_sd.pipeline.chain_outputs import SENDER, ChainOutputs
from kuma_sd.pipeline.control_plane import ControlPlaneConfig
from kuma_sd.pipeline.messages import Configuration, FromSource
from kuma_sd.pipeline.pipeline import Pipeline
from kuma_sd.prometheus.label_profiles import LabelProfile
from kuma_sd.proto.mads_v1_pb2 import MonitoringAssignment
from kuma_sd.simulator import Dataplane
from kuma_sd.simulator.encoders import HttpV1
from kuma_sd_bundled.file_sd import FileSD, FileSDOptions

TARGETS = 2000


def in_protobuf(number: int, version: int = 0) -> bytes:
    message = MonitoringAssignment(mesh="default", service="backend")
    labels = {"env": "prod", "version": str(version)}
    message.targets.add(name=f"backend-{number:05}", address=f"192.0.2.1:{number}", labels=labels)
    return packed(message)


def in_json(number: int, version: int = 0) -> bytes:
    labels = {"env": "prod", "version": str(version)}
    return HttpV1().resource(Dataplane(f"backend-{number:05}", address=f"192.0.2.1:{number}", labels=labels))


PROTOCOLS: dict[str, tuple[ResourceCodec, Callable[..., bytes]]] = {
    "gRPC": (V1_PROTOBUF, in_protobuf),
    "HTTP": (V1_JSON, in_json),
}


class House:
    """Everything between a response and its file, without threads."""

    def __init__(self, protocol: str, directory: Path, shards: int | None = None) -> None:
        self.codec, self.make = PROTOCOLS[protocol]
        self.decoder, self.chain = Decoder(""), Chain(LabelProfile("kuma-prometheus-sd"))
        self.box: Mailbox[Publication] = Mailbox()
        chain_outputs = ChainOutputs(self.chain, {"file_sd": self.box})
        self.pipeline = Pipeline()
        self.pipeline.configure(Configuration([ControlPlaneConfig(source=1)], [chain_outputs]), 0.0)
        name = "targets-{shard}.json" if shards else "targets.json"
        self.output = FileSD(FileSDOptions(path=directory / name, shards=shards))
        self.directory = directory
        self.output.start()
        self.resources = [self.make(number) for number in range(TARGETS)]

    def wire(self) -> list[bytes]:
        """Return the resources, newly made and in random order, as they come over the wire."""
        fresh = [bytes(bytearray(resource)) for resource in self.resources]
        random.shuffle(fresh)
        return fresh

    def publication(self, wire: list[bytes]) -> Publication | None:
        """Let a response pass; returns what is published, if anything."""
        assignments, _ = self.decoder.decode(MadsResponse(self.codec, wire))
        self.pipeline.step([FromSource(1, Snapshot("", assignments, 1.0, 0.0))], 1000.0)
        return self.box.take(0).get(SENDER)

    def send(self) -> Publication | None:
        """Let the resources pass, and write what is published."""
        publication = self.publication(self.wire())
        if publication:
            self.output.publish(publication)
        return publication

    def close(self) -> None:
        """End its thread, which would allocate while another is measured."""
        self.output.close()

    def change(self, *numbers: int, version: int = 1) -> None:
        for number in numbers:
            self.resources[number] = self.make(number, version)

    @property
    def work(self) -> tuple[int, int]:
        """How many resources were decoded, and how many targets converted and rendered."""
        return self.decoder.decoded, self.chain.converted

    @property
    def files(self) -> dict[str, int]:
        """The files, by name; each time one is written it is another."""
        return {path.name: path.stat().st_ino for path in self.directory.glob("*.json")}


@pytest.fixture(params=list(PROTOCOLS))
def house(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[House]:
    with closing(House(request.param, tmp_path)) as house:
        yield house


@pytest.mark.parametrize("changes", [0, 1, 20, TARGETS])
def test_only_what_changed_is_decoded_converted_and_rendered(house: House, changes: int) -> None:
    before = house.send()
    assert before
    house.change(*random.sample(range(TARGETS), changes))
    after = house.send()
    assert house.work == (TARGETS + changes, TARGETS + changes)
    if changes:
        assert after
        kept = set(map(id, before.groups))
        assert sum(id(group) not in kept for group in after.groups) == changes
    else:
        assert after is None


def test_a_removal_and_a_return_cost_one_decoding(house: House) -> None:
    house.send()
    one = house.resources.pop(700)
    house.send()
    house.resources.append(one)
    house.send()
    assert house.work[0] == TARGETS + 1


def test_a_file_is_written_once_for_a_change_and_never_without(house: House) -> None:
    house.send()
    before = house.files
    house.send()
    assert house.files == before
    house.change(5)
    publication = house.send()
    assert publication
    assert house.files != before
    size = (house.directory / "targets.json").stat().st_size
    # A bracket and a line end at both ends, and a comma with a line end between two lines.
    assert size == sum(map(len, publication.lines)) + 2 * (TARGETS - 1) + 5


def test_only_the_shard_that_changed_is_written(tmp_path: Path) -> None:
    with closing(House("gRPC", tmp_path, shards=8)) as house:
        house.send()
        before = house.files
        house.change(5)
        house.send()
        assert len(before) == 8
        assert len(house.files.items() - before.items()) == 1


def allocated(house: House) -> tuple[float, float]:
    """Return how many bytes a target a response needs at most beside its own, and how many of them stay."""
    wire = house.wire()
    gc.collect()
    tracemalloc.start()
    try:
        house.publication(wire)
        stays, peak = tracemalloc.get_traced_memory()
        return peak / TARGETS, stays / TARGETS
    finally:
        tracemalloc.stop()


def test_a_change_allocates_lists_of_references_and_no_copy_of_a_target(house: House) -> None:
    for version in range(1, 4):
        house.change(5, version=version)
        house.send()
    rounds = []
    for version in range(4, 7):
        house.change(9, version=version)
        rounds.append(allocated(house))
    # A target that is kept takes 650 and more, see below. Other threads allocate too, seldom, so the least counts.
    assert min(peak for peak, _ in rounds) < 130
    assert min(stays for _, stays in rounds) < 48


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_what_a_first_response_leaves_for_each_target_is_bounded(protocol: str, tmp_path: Path) -> None:
    # What is loaded when it is used for the first time is not counted.
    with closing(House(protocol, tmp_path / "earlier")) as earlier:
        earlier.send()
    with closing(House(protocol, tmp_path)) as house:
        peak, stays = allocated(house)
    assert peak < 850
    assert stays < 750
