"""The behaviour of each Kuma version as a table: one row for each release that changed it."""

import bisect
import re
from enum import Enum
from typing import Any

import msgspec
from msgspec.structs import replace

from kuma_sd.core.errors import ConfigError

Version = tuple[int, int, int]


class Catalog(Enum):
    """The response of the API server to GET /catalog."""

    WITH_MADS = "the address of MADS is in it"
    WITHOUT_MADS = "it is there, without the address of MADS"
    NONE = "it is not there"


class Strangers(Enum):
    """The response to a client that no MeshMetric names, if all of them name clients."""

    ALL = "everything: there are no groups of clients"
    EMPTY = "an empty set"
    NOT_MODIFIED = "304 when the time is over, 500 if there was none"
    ERROR = "500 when the time is over"


class KumaVersion(msgspec.Struct, frozen=True):
    """The behaviour of Kuma from one release on.

    Args:
        since: the first release.
        grpc: the versions of MADS over gRPC.
        http: whether MADS v1 is served over HTTP.
        tls: whether MADS can be encrypted.
        catalog: what the catalog of the API server holds.
        service_tag: the label of the service's tag.
        labels: whether assignments have labels.
        stale: whether the first stream after a time without streams begins with the set of that time.
        node_required: whether a request without a node breaks the connection (kumahq/kuma#13730).
        wakes_all: whether a change ends the wait of every long poll, or only of the first client's (kumahq/kuma#8764).
        strangers: the response to clients that no MeshMetric names.
        mads_on_kubernetes: whether a control plane on Kubernetes has MADS.
        mads_switch: whether MADS can be switched off.
    """

    since: Version
    grpc: tuple[str, ...] = ("v1alpha1",)
    http: bool = False
    tls: bool = False
    catalog: Catalog = Catalog.WITH_MADS
    service_tag: str = "service"
    labels: bool = True
    stale: bool = True
    node_required: bool = False
    wakes_all: bool = True
    strangers: Strangers = Strangers.ALL
    mads_on_kubernetes: bool = True
    mads_switch: bool = False

    @property
    def transports(self) -> tuple[str, ...]:
        """The names of its protocols in recordings."""
        return (*(f"grpc-{version}" for version in self.grpc), *(("http-v1",) if self.http else ()))


_CHANGES: dict[Version, dict[str, Any]] = {
    (0, 3, 2): {},
    (0, 7, 0): {"service_tag": "kuma_io_service"},
    (1, 0, 0): {"catalog": Catalog.WITHOUT_MADS},
    (1, 1, 0): {"catalog": Catalog.NONE},
    (1, 2, 0): {"grpc": ("v1alpha1", "v1"), "http": True},
    (1, 3, 0): {"grpc": ("v1",)},
    (2, 0, 0): {"tls": True},
    (2, 6, 0): {"stale": False, "node_required": True, "wakes_all": False, "strangers": Strangers.EMPTY},
    (2, 7, 0): {"grpc": (), "wakes_all": True, "strangers": Strangers.NOT_MODIFIED},
    (2, 10, 0): {"strangers": Strangers.ERROR},
    (2, 12, 0): {"node_required": False},
    (2, 14, 0): {"mads_switch": True},
    (3, 0, 0): {"labels": False, "mads_on_kubernetes": False},
}


# As of August 2026; later releases were not recorded.
_LAST_MINOR = {0: 7, 1: 8, 2: 14, 3: 0}
"""The last minor version of each major one."""


def _lines() -> tuple[KumaVersion, ...]:
    lines = [KumaVersion(next(iter(_CHANGES)))]
    for since, changes in _CHANGES.items():
        lines.append(replace(lines[-1], since=since, **changes))
    return tuple(lines[1:])


LINES = _lines()


def kuma(version: str) -> KumaVersion:
    """Return the behaviour of a release of Kuma.

    Args:
        version: the release, such as ``2.6.15``; of ``3.0`` the rest is 0.

    Raises:
        ConfigError: it is not a version, or one without MADS, or one that does not exist.
    """
    parts = re.fullmatch(r"v?(\d+)\.(\d+)(?:\.(\d+))?", version)
    if not parts:
        raise ConfigError(f"{version!r} is not a version of Kuma like 2.6.15")
    numbers = tuple(int(part or 0) for part in parts.groups())
    position = bisect.bisect_right([line.since for line in LINES], numbers)
    if not position:
        raise ConfigError(f"Kuma {version} has no MADS; the first that has is 0.3.2")
    if numbers[:2] > (numbers[0], _LAST_MINOR.get(numbers[0], -1)):
        known = ", ".join(f"{major}.{minor}" for major, minor in _LAST_MINOR.items())
        raise ConfigError(f"Kuma {version} is not known here; the last of each major version are {known}")
    return LINES[position - 1]


EVERYTHING = kuma("1.2.3")
"""A version that serves all protocols; the default."""
