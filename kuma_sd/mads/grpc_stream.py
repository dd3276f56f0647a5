"""One MADS stream over gRPC: state of the world, each response acknowledged. Importing this loads grpc."""

import os
import queue
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass

# Its C core would write to stderr past our logging.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")

import grpc
from google.protobuf.message import DecodeError

from kuma_sd.core.errors import SourceError
from kuma_sd.core.options import SIZE
from kuma_sd.http.access import Access
from kuma_sd.http.address import Endpoint
from kuma_sd.http.errors import TooLargeError
from kuma_sd.mads.codecs import ResourceCodec
from kuma_sd.mads.codecs.v1 import V1_PROTOBUF
from kuma_sd.mads.codecs.v1alpha1 import V1ALPHA1_PROTOBUF
from kuma_sd.mads.decoder import MadsResponse
from kuma_sd.mads.errors import GarbledError, NotImplementedThereError, UnreachableError
from kuma_sd.mads.plugin import MadsOptions
from kuma_sd.proto.discovery_pb2 import DiscoveryRequest, Node, ReceivedResponse
from kuma_sd.system.malloc import LARGE, give_back

# A thread that waits for a response is woken ten times a second, in case it is the main thread, which has to look after
# signals (grpc/grpc#19464). Ours never is, and what it waits for wakes it; this was half of an idle daemon's CPU.
grpc._common.MAXIMUM_WAIT_TIMEOUT = 3600.0  # type: ignore[attr-defined] # noqa: SLF001 (nothing public says so)

CONNECT_TIMEOUT = 5
"""How long the handshake may take, in seconds; 20 unless told otherwise."""


@dataclass(frozen=True)
class Dialect:
    """A version of MADS over gRPC.

    Args:
        codec: what its resources are.
        method: the only method that is safe to call: Delta and unary Fetch crash old control planes.
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

    Args:
        endpoint: where the server listens.
        dialect: the version to speak.
        options: how to talk to it.
        access: how to be let in.
    """

    def __init__(self, endpoint: Endpoint, dialect: Dialect, options: MadsOptions, access: Access) -> None:
        self._dialect = dialect
        self._node = Node(id=options.name)
        self._max_message_size = options.max_message_size
        self._metadata = tuple((name.lower(), value) for name, value in access.headers().items())
        self._requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self.connected = time.monotonic()
        self._channel = _channel(endpoint, dialect, options, access)

    def __iter__(self) -> Iterator[MadsResponse]:
        """Yield responses; asking for the next one acknowledges the last.

        Raises:
            SourceError: the stream cannot be made, breaks, or holds what is no response.
        """
        self._send(version="", nonce="")
        # Bytes in, bytes out: gRPC would hide the reason why a message does not parse.
        stream: grpc.StreamStreamMultiCallable[bytes, bytes] = self._channel.stream_stream(self._dialect.method)
        try:
            for data in stream(iter(self._requests.get, None), metadata=self._metadata):
                size = len(data)
                if size >= LARGE:
                    # What gRPC put it together from would stand beside what it is parsed to.
                    give_back()
                message = _parse(data)
                del data
                version, nonce = message.version_info, message.nonce
                response = MadsResponse(self._dialect.codec, message.resources, size)
                # Nothing of a large message may stay while the next one is awaited.
                del message
                yield response
                del response
                self._send(version, nonce)
        except grpc.RpcError as error:
            raise self._explain(error) from error
        except ValueError as error:
            # What grpc raises for a call on a channel that was closed in the meantime.
            raise SourceError("the connection was closed") from error
        finally:
            self.close()

    def close(self) -> None:
        """End the stream; a thread that waits for a response wakes at once."""
        self._requests.put(None)
        self._channel.close()

    def _send(self, version: str, nonce: str) -> None:
        request = DiscoveryRequest(
            version_info=version, node=self._node, type_url=self._dialect.codec.type_url, response_nonce=nonce
        )
        self._requests.put(request.SerializeToString())

    def _explain(self, error: grpc.RpcError) -> SourceError:
        # Every error of a call is also a Call, which the types do not say.
        assert isinstance(error, grpc.Call)
        code, details = error.code(), _REASON.sub("", error.details() or "")
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED:
            limit = SIZE.show(self._max_message_size)
            return TooLargeError(f"the response is larger than max-message-size ({limit}), raise it: {details}")
        if code is grpc.StatusCode.UNIMPLEMENTED:
            return NotImplementedThereError(f"it does not speak MADS {self._dialect.codec.name} over gRPC")
        if code is grpc.StatusCode.UNAVAILABLE:
            return UnreachableError(details)
        return SourceError(f"{code.name.lower().replace('_', ' ')}: {details}")


# What gRPC says before the reason: which addresses it tried.
_REASON = re.compile(r"^failed to connect to all addresses; last error: (?:[A-Z]+: )?")


def _channel(endpoint: Endpoint, dialect: Dialect, options: MadsOptions, access: Access) -> grpc.Channel:
    arguments: list[tuple[str, int | str]] = [
        # Each attempt has a channel of its own; in the global pool it would inherit the back-off of the last one.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.enable_retries", 0),
        ("grpc.min_reconnect_backoff_ms", CONNECT_TIMEOUT * 1000),
        ("grpc.max_receive_message_length", options.max_message_size),
        ("grpc.keepalive_time_ms", dialect.keepalive * 1000),
        ("grpc.keepalive_timeout_ms", 5000),
        # Without these two a frozen peer on an idle stream was noticed after a minute only.
        ("grpc.http2.ping_timeout_ms", 5000),
        ("grpc.http2.max_pings_without_data", 0),
    ]
    if options.proxy:
        arguments.append(("grpc.http_proxy", options.proxy.reveal()))
    if not endpoint.tls:
        return grpc.insecure_channel(endpoint.authority, options=arguments)
    if options.tls_server_name:
        arguments.append(("grpc.ssl_target_name_override", options.tls_server_name))
    credentials = grpc.ssl_channel_credentials(*access.pem_files())
    return grpc.secure_channel(endpoint.authority, credentials, options=arguments)


def _parse(data: bytes) -> ReceivedResponse:
    try:
        return ReceivedResponse.FromString(data)
    except DecodeError as error:
        raise GarbledError(f"its answer is no DiscoveryResponse: {error}") from error
