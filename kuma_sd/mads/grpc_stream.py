"""MADS over a gRPC stream: state of the world, each response acknowledged. Importing this module loads grpc."""

import os
import queue
import re
from collections.abc import Iterator

import msgspec

from kuma_sd.core.logger import Logger

# Otherwise gRPC's C core writes to stderr, bypassing the log.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
# gRPC interprets no_proxy differently, and applies it to a proxy set explicitly too; no_grpc_proxy has precedence.
os.environ["no_grpc_proxy"] = ""  # noqa: SIM112 (that is its name)

import grpc

from kuma_sd.core.errors import ConnectionClosedError, SourceError
from kuma_sd.core.option_types import show_duration
from kuma_sd.core.value_limits import most_resources
from kuma_sd.http.address import Endpoint
from kuma_sd.http.errors import SilentError, TooLargeError
from kuma_sd.http.proxies import proxy_for
from kuma_sd.http.tls_and_credentials import Access
from kuma_sd.mads.codecs import ResourceCodec
from kuma_sd.mads.codecs.v1 import V1_PROTOBUF
from kuma_sd.mads.codecs.v1alpha1 import V1ALPHA1_PROTOBUF
from kuma_sd.mads.decoder import MadsResponse
from kuma_sd.mads.errors import NotImplementedThereError
from kuma_sd.mads.grpc_failures import failed
from kuma_sd.mads.grpc_response import parse
from kuma_sd.mads.plugin import MadsOptions
from kuma_sd.proto.discovery_pb2 import DiscoveryRequest, Node
from kuma_sd.system.deadline import Deadline
from kuma_sd.system.descriptors import require_descriptors
from kuma_sd.system.memory import LARGE, give_back

_log = Logger(__name__)

# gRPC wakes a waiting thread ten times a second, in case it is the main thread, which must handle signals
# (grpc/grpc#19464). Here it never is, and responses wake it; polling took half of an idle daemon's CPU time.
grpc._common.MAXIMUM_WAIT_TIMEOUT = 3600.0  # type: ignore[attr-defined] # noqa: SLF001 (nothing public says so)

QUIET_SECONDS = 1800.0
"""A stream without a response for this many seconds is replaced."""

LARGEST_LIMIT = 2**31 - 1
"""The largest size limit that gRPC accepts, in bytes."""

CONNECT_TIMEOUT = 5
"""Handshake timeout, in seconds; gRPC's default is 20."""


class Dialect(msgspec.Struct, frozen=True):
    """A version of MADS over gRPC.

    Args:
        codec: decodes its resources.
        method: the streaming method; Delta and unary Fetch crash old control planes.
        keepalive: the time between pings, in seconds. Kuma refuses more than one in 15 s, and before 1.0.8, when it
            spoke v1alpha1 only, more than one in 5 min.
    """

    codec: ResourceCodec
    method: str
    keepalive: int


V1 = Dialect(V1_PROTOBUF, "/kuma.observability.v1.MonitoringAssignmentDiscoveryService/StreamMonitoringAssignments", 20)
V1ALPHA1 = Dialect(
    V1ALPHA1_PROTOBUF,
    "/kuma.observability.v1alpha1.MonitoringAssignmentDiscoveryService/StreamMonitoringAssignments",
    300,
)


class GrpcStream:
    """One connection: iterate for the responses, close from any thread.

    A stream without responses for a long time is replaced by a new one over the same connection. A hung server still
    answers pings; only a request that needs a response shows that it hangs. Nor does gRPC tell a client that has not
    ended its own side that a server ended the stream without trailers.

    Args:
        endpoint: the server's address.
        dialect: the MADS version.
        options: the connection's options.
        access: the credentials.
        patience: timeout of the first response of a stream, in seconds.
    """

    next_within = float("inf")

    def __init__(
        self, endpoint: Endpoint, dialect: Dialect, options: MadsOptions, access: Access, patience: float
    ) -> None:
        self._dialect = dialect
        self._node = Node(id=options.name)
        self._max_message_size = min(options.max_message_size, LARGEST_LIMIT)
        self._most_resources = most_resources(self._max_message_size)
        self._metadata = tuple((name.lower(), value) for name, value in access.headers().items())
        _check_descriptors()
        self._patience = patience
        self._deadline = Deadline(f"deadline of {endpoint}", self._give_up)
        self._channel = _channel(endpoint, dialect, options, access)
        self._call: grpc.Call | None = None
        self._requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._answered = self._gave_up = self._closed = False

    def __iter__(self) -> Iterator[MadsResponse]:
        """Yield responses; each is acknowledged once it is parsed.

        Raises:
            SourceError: the stream cannot be opened, breaks, or sends an invalid response.
        """
        try:
            while True:
                yield from self._stream()
                _log.debug("no response on the stream, opening a new stream", seconds=QUIET_SECONDS)
        except grpc.RpcError as error:
            raise self._explain(error) from error
        except ValueError as error:
            # grpc raises this for a call on a channel that was closed in the meantime.
            raise ConnectionClosedError("the connection was closed", orderly=True) from error
        finally:
            self.close()

    def close(self) -> None:
        """Close the stream; a thread that waits for a response wakes immediately."""
        self._closed = True
        self._deadline.close()
        self._requests.put(None)
        self._channel.close()

    def _stream(self) -> Iterator[MadsResponse]:
        """Yield the responses of one stream, until none has arrived for QUIET_SECONDS."""
        self._requests = queue.SimpleQueue()
        self._answered = self._gave_up = False
        self._send(version="", nonce="")
        # Raw bytes: gRPC hides the reason why a message cannot be parsed.
        stream: grpc.StreamStreamMultiCallable[bytes, bytes] = self._channel.stream_stream(self._dialect.method)
        call = self._call = stream(iter(self._requests.get, None), metadata=self._metadata)
        self._deadline.set(self._patience)
        try:
            for data in call:
                self._deadline.set(None)
                self._answered = True
                size = len(data)
                if size >= LARGE:
                    # Otherwise gRPC's buffer stays in memory beside the parsed message.
                    give_back()
                envelope, resources = parse(data, self._dialect.codec, self._most_resources)
                del data
                # gRPC holds the bytes until the next event of the call, which the acknowledgement makes.
                self._send(envelope.version, envelope.nonce)
                response = MadsResponse(self._dialect.codec, resources, size)
                # Free a large message before waiting for the next one.
                del resources
                yield response
                del response
                self._deadline.set(QUIET_SECONDS)
            raise ConnectionClosedError("it ended the stream", orderly=True)
        except grpc.RpcError:
            if not (self._gave_up and self._answered) or self._closed:
                raise
        finally:
            # Ends gRPC's sending thread.
            self._requests.put(None)

    def _give_up(self) -> None:
        """Cancel the stream when its time without a response is over."""
        self._gave_up = True
        if self._call:
            self._call.cancel()

    def _send(self, version: str, nonce: str) -> None:
        request = DiscoveryRequest(
            version_info=version, node=self._node, type_url=self._dialect.codec.type_url, response_nonce=nonce
        )
        self._requests.put(request.SerializeToString())

    def _explain(self, error: grpc.RpcError) -> SourceError:
        # Every error of a call is also a Call; the type stubs do not say so.
        assert isinstance(error, grpc.Call)
        code, details = error.code(), error.details() or ""
        if self._closed:
            return ConnectionClosedError("the connection was closed", orderly=True)
        if self._gave_up:
            return SilentError(f"no answer within {show_duration(self._patience)}")
        # Match the limit that was exceeded: the server has other limits; our limit for requests is never reached.
        size = re.search(rf"([0-9]{{1,10}}) vs\. {self._max_message_size}\)", details)
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED and size:
            return TooLargeError(self._max_message_size, int(size[1]))
        if code is grpc.StatusCode.UNIMPLEMENTED:
            return NotImplementedThereError(f"it does not speak MADS {self._dialect.codec.name} over gRPC")
        return failed(code.name, details, answered=self._answered)


def _check_descriptors() -> None:
    try:
        # Without a free file descriptor gRPC aborts the process.
        require_descriptors()
    except OSError as error:
        raise SourceError(f"cannot connect: {error.strerror}") from error


def _channel(endpoint: Endpoint, dialect: Dialect, options: MadsOptions, access: Access) -> grpc.Channel:
    arguments: list[tuple[str, int | str]] = [
        # One channel for each attempt: in the global pool it would inherit the last attempt's back-off.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.enable_retries", 0),
        ("grpc.min_reconnect_backoff_ms", CONNECT_TIMEOUT * 1000),
        ("grpc.max_receive_message_length", min(options.max_message_size, LARGEST_LIMIT)),
        ("grpc.keepalive_time_ms", dialect.keepalive * 1000),
        ("grpc.keepalive_timeout_ms", 5000),
        # Without these two options a frozen peer on an idle stream was detected after a minute only.
        ("grpc.http2.ping_timeout_ms", 5000),
        ("grpc.http2.max_pings_without_data", 0),
    ]
    proxy = proxy_for(endpoint, options.proxy)
    arguments.append(("grpc.http_proxy", proxy.reveal()) if proxy else ("grpc.enable_http_proxy", 0))
    if not endpoint.tls:
        return grpc.insecure_channel(endpoint.authority, options=arguments)
    if options.tls_server_name:
        arguments.append(("grpc.ssl_target_name_override", options.tls_server_name))
    credentials = grpc.ssl_channel_credentials(*access.pem_files())
    return grpc.secure_channel(endpoint.authority, credentials, options=arguments)
