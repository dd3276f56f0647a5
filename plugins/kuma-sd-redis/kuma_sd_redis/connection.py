"""Connect to Redis: to one server, to the primary that Sentinels name, or to a Cluster."""

import contextlib
import itertools
import ssl
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.client import PubSub
from redis.cluster import ClusterNode, RedisCluster
from redis.exceptions import (
    AskError,
    ClusterDownError,
    MovedError,
    NoScriptError,
    RedisClusterException,
    RedisError,
    TryAgainError,
)
from redis.retry import Retry
from redis.sentinel import Sentinel

from kuma_sd import ConfigError, KumaSDError
from kuma_sd_redis.access import Access
from kuma_sd_redis.address import Address
from kuma_sd_redis.failures import BROKEN_REPLY, NOT_REDIS, explained
from kuma_sd_redis.layout import BUCKETS, Keys
from kuma_sd_redis.scripts import Script

Word = str | bytes | int

Command = tuple[Word, ...]
"""The name of a command, its key, and its other arguments."""

Call = tuple[Sequence[str], Sequence[Word]]
"""The keys and arguments of a script."""

_REDIRECTED = (MovedError, AskError, TryAgainError, ClusterDownError)


class RelayError(KumaSDError):
    """Redis cannot be reached, or refuses a command."""


class Connection:
    """Connects when needed, and again after each failure. One thread at a time may use it; any thread may close it.

    redis-py's own retries are off: a failed command may have taken effect, which only the caller can handle.

    Args:
        address: where Redis is.
        access: how to connect.

    Raises:
        ConfigError: that cannot be used.
    """

    def __init__(self, address: Address, access: Access) -> None:
        self.address = address
        self._arguments = _arguments(address, access)
        self._sentinel_password = access.sentinel_password.reveal()
        self._client: redis.Redis | RedisCluster | None = None
        self._loaded: set[str] = set()
        self._closed = False
        self.sent = 0
        self.received = 0

    @property
    def clustered(self) -> bool:
        """Whether channels belong to slots."""
        return self.address.scheme == "redis+cluster"

    def run(self, commands: Sequence[Command]) -> list[Any]:
        """Send commands together and return their replies.

        Raises:
            RelayError: a command failed; others may have taken effect.
        """
        with self._failures() as client:
            results = _run(client, commands)
            self._count(commands, results)
            for result in results:
                if isinstance(result, Exception):
                    raise result
            return results

    def evaluate(self, script: Script, calls: Sequence[Call]) -> list[Any]:
        """Run a script several times, each with its keys and arguments, and return the replies.

        Raises:
            RelayError: a command failed; others may have taken effect.
        """
        with self._failures() as client:
            commands: list[Command] = [("EVALSHA", script.sha, len(keys), *keys, *rest) for keys, rest in calls]
            if script.sha not in self._loaded:
                client.script_load(script.text)
                self._loaded.add(script.sha)
            results = _run(client, commands)
            # A server that was restarted, or came into the Cluster, does not know it.
            unknown = [index for index, result in enumerate(results) if isinstance(result, NoScriptError)]
            texts: list[Command] = [("EVAL", script.text, *commands[index][2:]) for index in unknown]
            for index, result in zip(unknown, _run(client, texts), strict=True):
                results[index] = result
            self._count([*commands, *texts], results)
            for result in results:
                if isinstance(result, Exception):
                    raise result
            return results

    def subscribe(self, keys: Keys, buckets: Sequence[int]) -> list[tuple[PubSub, int]]:
        """Subscribe to the channels of buckets.

        Returns:
            A subscription for each server that has some of these channels, and the number of its confirmations.

        Raises:
            RelayError: it failed.
        """
        with self._failures() as client:
            if isinstance(client, RedisCluster):
                return _subscribe_in_cluster(client, [keys.channel(bucket) for bucket in buckets])
            subscription = client.pubsub()
            if len(buckets) == BUCKETS:
                # One subscription instead of 1,024 for each edge, which would cost the server 100 bytes each.
                subscription.psubscribe(keys.every_channel)
                return [(subscription, 1)]
            subscription.subscribe(*(keys.channel(bucket) for bucket in buckets))
            return [(subscription, len(buckets))]

    @contextlib.contextmanager
    def reading(self) -> Iterator[None]:
        """Fail in one line if a reply that is read in this block has another shape than Redis gives it.

        Raises:
            RelayError: it has.
        """
        try:
            yield
        except BROKEN_REPLY as error:
            raise RelayError(f"Redis at {self.address}: {NOT_REDIS}") from error

    def renew(self) -> None:
        """Forget which server has which slot; the next command asks again."""
        self._disconnect()

    def close(self) -> None:
        """Abort all commands in progress, from any thread."""
        self._closed = True
        self._disconnect()

    @contextlib.contextmanager
    def _failures(self) -> Iterator[redis.Redis | RedisCluster]:
        try:
            if self._closed:
                raise RelayError("the connection was closed")
            if self._client is None:
                self._client = self._connect()
            yield self._client
        # Cutting a connection from another thread shows in many ways.
        except (RedisError, RedisClusterException, OSError, *BROKEN_REPLY) as error:
            self._disconnect()
            raise RelayError(f"Redis at {self.address}: {explained(error)}") from error

    def _connect(self) -> redis.Redis | RedisCluster:
        address, arguments = self.address, self._arguments
        if address.scheme == "redis+cluster":
            nodes = [ClusterNode(host, port) for host, port in address.hosts]
            return RedisCluster(startup_nodes=nodes, **arguments)
        if address.scheme == "redis+sentinel":
            own = {name: value for name, value in arguments.items() if name not in ("username", "password", "db")}
            own["password"] = self._sentinel_password or None
            sentinel = Sentinel(list(address.hosts), sentinel_kwargs=own, **arguments)
            primary: redis.Redis = sentinel.master_for(address.service)
            return primary
        host, port = address.hosts[0]
        return redis.Redis(host, port, **arguments)

    def _disconnect(self) -> None:
        client = self._client
        self._client = None
        self._loaded = set()
        # What cannot be closed is not open.
        with contextlib.suppress(Exception):
            if isinstance(client, RedisCluster):
                client.disconnect_connection_pools()
            elif client:
                client.connection_pool.disconnect()

    def _count(self, commands: Iterable[Command], results: Iterable[Any]) -> None:
        self.sent += sum(map(_size, commands))
        self.received += sum(map(_size, results))


def _run(client: redis.Redis | RedisCluster, commands: Sequence[Command]) -> list[Any]:
    if isinstance(client, RedisCluster):
        return _run_in_cluster(client, commands)
    with client.pipeline(transaction=False) as pipeline:
        for command in commands:
            pipeline.execute_command(*command)
        return pipeline.execute(raise_on_error=False) if commands else []


def _run_in_cluster(cluster: RedisCluster, commands: Sequence[Command]) -> list[Any]:
    # Not redis-py's own pipeline for Clusters, which asks the server for the keys of each script it runs.
    parts: dict[str, list[int]] = {}
    nodes: dict[str, ClusterNode] = {}
    for index, command in enumerate(commands):
        node = cluster.get_node_from_key(_key(command))
        nodes[node.name] = node
        parts.setdefault(node.name, []).append(index)
    results: list[Any] = [None] * len(commands)
    for name, indices in parts.items():
        answers = _run(cluster.get_redis_connection(nodes[name]), [commands[index] for index in indices])
        for index, answer in zip(indices, answers, strict=True):
            redirected = isinstance(answer, _REDIRECTED)
            results[index] = _redirected(cluster, commands[index]) if redirected else answer
    return results


def _redirected(cluster: RedisCluster, command: Command) -> Any:  # noqa: ANN401 (what Redis answers)
    try:
        return cluster.execute_command(*command)
    except RedisError as error:
        return error


def _key(command: Command) -> Word:
    return command[3] if command[0] in ("EVALSHA", "EVAL") else command[1]


def _subscribe_in_cluster(cluster: RedisCluster, channels: Iterable[str]) -> list[tuple[PubSub, int]]:
    nodes: dict[str, ClusterNode] = {}
    parts: dict[str, list[str]] = {}
    for channel in channels:
        node = cluster.get_node_from_key(channel)
        nodes[node.name] = node
        parts.setdefault(node.name, []).append(channel)
    subscriptions = []
    for name, some in parts.items():
        # Not redis-py's own subscription for Clusters, which polls all nodes in turn and moves channels in threads.
        subscription: PubSub = cluster.get_redis_connection(nodes[name]).pubsub()
        for channel in some:
            # One by one, since a command may name channels of one slot only.
            subscription.ssubscribe(channel)
        subscriptions.append((subscription, len(some)))
    return subscriptions


def _arguments(address: Address, access: Access) -> dict[str, Any]:
    if bool(access.tls_cert_file) != bool(access.tls_key_file):
        raise ConfigError("tls-cert-file and tls-key-file go together")
    arguments: dict[str, Any] = {
        "username": address.username or access.username or None,
        "password": (address.password or access.password).reveal() or None,
        "socket_timeout": access.timeout,
        "socket_connect_timeout": access.timeout,
        "socket_keepalive": True,
        "retry": Retry(NoBackoff(), 0),
        "protocol": 2,
        "client_name": "kuma-sd",
    }
    if address.scheme != "redis+cluster":
        arguments["db"] = address.database
    if access.tls or address.scheme == "rediss":
        _check_files(access)
        arguments |= {
            "ssl": True,
            "ssl_ca_certs": access.tls_ca_file or None,
            "ssl_certfile": access.tls_cert_file or None,
            "ssl_keyfile": access.tls_key_file or None,
            "ssl_cert_reqs": "none" if access.tls_insecure_skip_verify else "required",
            "ssl_check_hostname": not access.tls_insecure_skip_verify,
        }
    return arguments


def _check_files(access: Access) -> None:
    context = ssl.create_default_context()
    try:
        if access.tls_ca_file:
            context.load_verify_locations(access.tls_ca_file)
        if access.tls_cert_file:
            context.load_cert_chain(access.tls_cert_file, access.tls_key_file)
    except OSError as error:
        raise ConfigError(f"tls-ca-file, tls-cert-file or tls-key-file cannot be used: {error}") from error


def _size(value: Any) -> int:  # noqa: ANN401 (whatever goes to Redis or comes back)
    if isinstance(value, str | bytes):
        return len(value)
    if isinstance(value, dict):
        return sum(map(_size, itertools.chain.from_iterable(value.items())))
    return sum(map(_size, value)) if isinstance(value, list | tuple) else 1
