"""Generate a world, the same for the same seed."""

import functools
import itertools
import random
import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from kuma_sd.simulator.dataplane import Dataplane
from kuma_sd.simulator.world import World


class _Mesh(NamedTuple):
    name: str
    port: int
    metrics_path: str


_MESHES = (
    _Mesh("default", 5670, "/metrics"),
    _Mesh("payments", 1234, "/non-standard-path"),
    # As on Kubernetes, where a dataplane is named after its pod and namespace.
    _Mesh("shop", 5670, "/metrics"),
)
_SERVICES = ("backend", "web", "orders_db", "redis", "gateway")
_ENVIRONMENTS = ("prod", "prod", "prod", "stage", "dev")


class GeneratedWorld(World):
    """A world with several meshes, all kinds of dataplanes, and changes that keep its size.

    The addresses are in 127.0.0.0/8 and in 2001:db8::/32, which is reserved for documentation, so that a Prometheus
    that reads them contacts no other machine.

    Args:
        targets: the number of dataplanes.
        seed: equal seeds give equal worlds with equal changes.
    """

    def __init__(self, targets: int, seed: int = 1) -> None:
        self._random = random.Random(seed)  # noqa: S311 (no secret, and it shall be foreseeable)
        self._numbers = itertools.count(1)
        self._targets = targets
        super().__init__([self._make() for _ in range(targets)])

    @property
    def meshes(self) -> int:
        """The number of meshes."""
        return len({dataplane.mesh for dataplane in self.dataplanes})

    def change(self) -> None:
        """Add, remove or alter one dataplane."""
        present = self.dataplanes
        if present and self._random.random() < 0.5:  # noqa: PLR2004 (every other time)
            self.add(self._altered(self._random.choice(present)))
        elif present and len(present) >= self._targets:
            chosen = self._random.choice(present)
            self.remove(chosen.name, mesh=chosen.mesh)
        else:
            self.add(self._make())

    def _make(self) -> Dataplane:
        number = next(self._numbers)
        mesh, service = _MESHES[number % len(_MESHES)], _SERVICES[number % len(_SERVICES)]
        labels: Mapping[str, str] = _labels(
            service, self._random.choice(_ENVIRONMENTS), number % 7 == 0, number % 11 == 0
        )
        name = f"{service.replace('_', '-')}-{number:02}"
        if mesh.name == "shop":
            pod, namespace = f"{name}-{self._random.getrandbits(40):010x}", "shop-system"
            name, labels = f"{pod}.{namespace}", {**labels, "k8s_kuma_io_name": pod, "k8s_kuma_io_namespace": namespace}
        own_endpoint = number % 13 == 0
        return Dataplane(
            name,
            mesh.name,
            service,
            _address(number, 8765 if own_endpoint else mesh.port),
            "https" if number % 17 == 0 else "http",
            "/custom" if own_endpoint else mesh.metrics_path,
            labels,
        )

    def _altered(self, dataplane: Dataplane) -> Dataplane:
        version = dataplane.labels.get("version")
        if version is None or self._random.random() < 0.5:  # noqa: PLR2004 (every other time)
            port = int(dataplane.address.rpartition(":")[2])
            return dataplane._replace(address=_address(next(self._numbers), port))
        upgraded = labels_of_tags([{"version": f"v{int(version[1:]) + 1}"}])
        return dataplane._replace(labels={**dataplane.labels, **upgraded})


def labels_of_tags(inbounds: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Convert the tags of a dataplane's inbounds to labels by Kuma's rules.

    Each tag gives two labels: its first value, and in the plural all values between commas. A tag whose name is the
    plural of another one wins.

    Args:
        inbounds: the tags of each inbound.
    """
    values: dict[str, set[str]] = {}
    for tag, value in itertools.chain.from_iterable(tags.items() for tags in inbounds):
        values.setdefault(tag, set()).add(value)
    labels = {}
    for tag in sorted(values):
        several = sorted(values[tag])
        labels[_label_name(tag)] = several[0]
        labels[_label_name(tag + "s")] = f",{','.join(several)},"
    return labels


def _label_name(tag: str) -> str:
    return re.sub(r"[^a-zA-Z0-9_]", "_", tag)


@functools.cache
def _labels(service: str, environment: str, two_inbounds: bool, odd_tag: bool) -> Mapping[str, str]:  # noqa: FBT001 (they are facts)
    # Shared between dataplanes: a million label sets of their own would take gigabytes.
    if service == "gateway":
        return labels_of_tags([{"kuma.io/service": service, "env": environment}])
    tags = {
        "kuma.io/service": service,
        "kuma.io/protocol": "http",
        "env": environment,
        "version": "v1",
        "team.name": "a",
    }
    if odd_tag:
        tags["9lives/cat"] = "cat-7"  # Prometheus takes no label name that begins with a digit
    admin = {"kuma.io/service": f"{service}-admin", "kuma.io/protocol": "http", "version": "v2"}
    return labels_of_tags([tags, admin] if two_inbounds else [tags])


def _address(number: int, port: int) -> str:
    if number % 8 == 0:
        high, low = divmod(number, 0x10000)
        return f"[2001:db8::{high:x}:{low:x}]:{port}" if high else f"[2001:db8::{low:x}]:{port}"
    # From 127.1.0.0 on, because other programs may listen at 127.0.0.1.
    return f"127.{1 + (number >> 16) % 254}.{number >> 8 & 255}.{number & 255}:{port}"
