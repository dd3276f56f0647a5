"""The address of a relay."""

import re
from dataclasses import dataclass
from urllib.parse import parse_qsl

from kuma_sd import ConfigError, Secret, Url
from kuma_sd_redis.layout import BUCKETS

NOTHING = Secret("")

PORTS = {"redis": 6379, "rediss": 6379, "redis+sentinel": 26379, "redis+cluster": 6379}


@dataclass(frozen=True)
class Address:
    """Where Redis is, and which part of the relay is wanted.

    Args:
        scheme: what is there: one server, with or without TLS, Sentinels, or a Cluster.
        hosts: where to ask; one of them is enough.
        service: what Sentinels call the primary; empty elsewhere.
        database: its number.
        username: who logs in; empty for the default user.
        password: with what.
        shard: which shard is wanted, from 0.
        of: how many there are.
    """

    scheme: str
    hosts: tuple[tuple[str, int], ...]
    service: str = ""
    database: int = 0
    username: str = ""
    password: Secret = NOTHING
    shard: int = 0
    of: int = 1

    def __str__(self) -> str:
        hosts = ",".join(f"[{host}]:{port}" if ":" in host else f"{host}:{port}" for host, port in self.hosts)
        path = "".join(f"/{part}" for part in (self.service, self.database or "") if part)
        return f"{self.scheme}://{hosts}{path}{f'?shard={self.shard}&of={self.of}' if self.of > 1 else ''}"

    @property
    def buckets(self) -> range:
        """The numbers of the buckets in the shard."""
        return range(self.shard, BUCKETS, self.of)


def address_of(url: Url) -> Address:
    """Return the address of a relay that a URL is.

    Raises:
        ConfigError: it is none; the message quotes nothing that may be a secret.
    """
    if url.scheme not in PORTS or not url.has_hosts:
        raise ConfigError(f"the address of a relay begins with one of {', '.join(f'{scheme}://' for scheme in PORTS)}")
    service, database = _parse_path(url.scheme, url.path.removeprefix("/"))
    shard, of = _parse_query(url.query.reveal())
    try:
        hosts = tuple(url.servers(PORTS[url.scheme]))
    except ValueError as error:
        raise ConfigError(f"the address of the relay {error}; write it like redis://redis.internal:6379") from None
    if len(hosts) > 1 and url.scheme in ("redis", "rediss"):
        raise ConfigError("the address of a relay has several servers: say redis+sentinel:// or redis+cluster://")
    return Address(url.scheme, hosts, service, database, url.user, url.password, shard, of)


def _parse_path(scheme: str, path: str) -> tuple[str, int]:
    parts = path.rstrip("/").split("/") if path.rstrip("/") else []
    service = parts.pop(0) if parts and scheme == "redis+sentinel" else ""
    if scheme == "redis+sentinel" and not service:
        raise ConfigError("the address of Sentinels ends with the name of their primary: redis+sentinel://…/mymaster")
    if len(parts) > 1 or not all(re.fullmatch("[0-9]{1,4}", part) for part in parts):
        raise ConfigError("what stands behind the host in the address of the relay is not the number of a database")
    if parts and scheme == "redis+cluster" and int(parts[0]):
        raise ConfigError("a Redis Cluster has no databases but 0")
    return service, int(parts[0]) if parts else 0


def _parse_query(query: str) -> tuple[int, int]:
    values = dict(parse_qsl(query, keep_blank_values=True))
    unknown = values.keys() - {"shard", "of"}
    if unknown:
        raise ConfigError("the query in the address of the relay has more than shard and of, like ?shard=3&of=100")
    if not values:
        return 0, 1
    if values.keys() != {"shard", "of"} or not all(re.fullmatch("[0-9]{1,5}", value) for value in values.values()):
        raise ConfigError("shard and of in the address of the relay go together, like ?shard=3&of=100")
    shard, of = int(values["shard"]), int(values["of"])
    if not 1 <= of <= BUCKETS or shard >= of:
        raise ConfigError(f"there is no shard {shard} of {of}: of is at most {BUCKETS}, and shard less than of")
    return shard, of
