"""Control planes come and go under the real daemon, and no target that stays is ever lost."""

import json
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import pytest
from daemon_process import kuma_sd
from processes import Process
from waiting import eventually

from kuma_sd.simulator import Dataplane, SimulatedControlPlane, World, kuma

SHARED = [f"backend-{number:02}" for number in range(10)]

# Each with the protocol that must be found, where that is another than before.
UPGRADES = (
    ("0.7.3", "v1alpha1 gRPC"),
    ("1.2.3", "v1 gRPC"),
    ("2.6.15", ""),
    ("2.14.3", "v1 HTTP"),
    # Polls go on where they are answered.
    ("1.2.3", ""),
)

HOLD = 1.0
"""The guard's hold."""
BACKOFF = 10.0
"""More than the pause after as many short connections, and the way from there to the file."""


def published(path: Path) -> set[str]:
    """Return what a file holds: names, with that of their control plane where it has one."""
    labels = [group["labels"] for group in json.loads(path.read_bytes())]
    return {"/".join(label[name] for name in ("control_plane", "dataplane") if name in label) for label in labels}


class Observer:
    """Reads a file all the time in a thread of its own; ``lost`` is what was ever missing of what must stay."""

    def __init__(self, path: Path, staying: set[str]) -> None:
        self._path = path
        self._staying = staying
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.lost: set[str] = set()
        self.looks = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(0.002):
            self.lost |= self._staying - published(self._path)
            self.looks += 1


@contextmanager
def daemon(path: Path, *addresses: str) -> Iterator[Process]:
    """Run kuma-sd, and go on when it has published for the first time."""
    flags = [f"--cp-address={address}" for address in addresses]
    flags += [f"--guard-hold={HOLD:g}s", "--min-interval=100ms", f"--state-dir={path.parent / 'state'}"]
    with kuma_sd("run", *flags, f"--output-file={path}") as running:
        running.wait_for_line("published")
        yield running


def world(*more: str) -> World:
    return World(Dataplane(name) for name in (*SHARED, *more))


def test_upgrades_and_a_rollback_on_one_port_lose_nothing(tmp_path: Path) -> None:
    path, port = tmp_path / "targets.json", 0
    control_plane = SimulatedControlPlane(world("only-00"), port=port, refresh=0, line=kuma(UPGRADES[0][0]))
    address = control_plane.start()
    with daemon(path, f"http://{address}") as running, Observer(path, set(SHARED)) as collector:
        for step, (version, protocol) in list(enumerate(UPGRADES))[1:]:
            control_plane.close()
            port = int(address.rpartition(":")[2])
            control_plane = SimulatedControlPlane(world(f"only-{step:02}"), port=port, refresh=0, line=kuma(version))
            control_plane.start()
            started, wanted = time.monotonic(), {*SHARED, f"only-{step:02}"}
            eventually(lambda wanted=wanted: published(path) == wanted, f"the file is right under {version}")  # type: ignore[misc]
            assert time.monotonic() - started < HOLD + BACKOFF
            if protocol:
                running.wait_for_line(f'protocol="{protocol}"')
        control_plane.close()
    assert collector.lost == set()
    assert collector.looks > 100


def test_of_two_zones_the_dead_one_keeps_its_targets_and_the_other_goes_on(tmp_path: Path) -> None:
    path = tmp_path / "targets.json"
    staying = {f"{zone}/{name}" for zone in ("east", "west") for name in SHARED}
    with (
        SimulatedControlPlane(world(), refresh=0) as east,
        SimulatedControlPlane(world(), refresh=0, line=kuma("2.14.3")) as west,
    ):
        addresses = (f"east={east.url}", f"west={west.url}")
        with daemon(path, *addresses) as running, Observer(path, staying) as collector:
            east.close()
            running.wait_for_line("trying again, targets stay as they are")
            for number in range(3):
                west.world.add(Dataplane(f"new-{number}"))
                wanted = staying | {f"west/new-{index}" for index in range(number + 1)}
                eventually(lambda wanted=wanted: published(path) == wanted, "what is new in the west is there")  # type: ignore[misc]
            # Longer than the guard would hold what a control plane says is gone.
            threading.Event().wait(HOLD * 1.5)
            assert published(path) == wanted
    assert collector.lost == set()


@pytest.mark.parametrize("version", ["1.1.6", "2.6.15", "2.14.3"])
def test_when_a_replica_dies_another_one_takes_over(tmp_path: Path, version: str) -> None:
    path, shared = tmp_path / "targets.json", world()
    with ExitStack() as stack:
        replicas = [
            stack.enter_context(SimulatedControlPlane(shared, refresh=0, line=kuma(version), port=0)) for _ in range(2)
        ]
        address = f"grpc://{','.join(replica.address for replica in replicas)}"
        with daemon(path, address), Observer(path, set(SHARED)) as collector:
            [serving] = [replica for replica in replicas if replica.counts.responses]
            [other] = [replica for replica in replicas if replica is not serving]
            serving.close()
            other.wait_for(lambda counts: counts.responses == 1)
            shared.add(Dataplane("new"))
            eventually(lambda: published(path) == {*SHARED, "new"}, "the other replica is followed")
    assert collector.lost == set()
