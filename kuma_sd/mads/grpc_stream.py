"""One MADS stream over gRPC: state of the world, each response acknowledged. Importing this loads grpc."""

import logging
import os
import queue
import re
from collections.abc import Iterator
from dataclasses import dataclass

# Its C core would write to stderr past our logging.
os.environ.setdefault("GRPC_VERBOSITY", "NONE")
# It would read no_proxy itself, in a way of its own, even for a proxy that it is told to use; this comes before that.
os.environ["no_grpc_proxy"] = ""  # noqa: SIM112 (that is its name)

import grpc
from google.protobuf.message import DecodeError

from kuma_sd.core.errors import SourceError
from kuma_sd.core.options import show_duration
from kuma_sd.http.address import Endpoint
from kuma_sd.http.credentials import Access
from kuma_sd.http.errors import SilentError, TooLargeError
from kuma_sd.http.proxies import proxy_for
from kuma_sd.mads.codecs import ResourceCodec
from kuma_sd.mads.codecs.v1 import V1_PROTOBUF
from kuma_sd.mads.codecs.v1alpha1 import V1ALPHA1_PROTOBUF
from kuma_sd.mads.decoder import MadsResponse, foreign
from kuma_sd.mads.errors import ForeignError, GarbledError, NotImplementedThereError, UnreachableError
from kuma_sd.mads.plugin import MadsOptions
from kuma_sd.proto.discovery_pb2 import DiscoveryRequest, Node, ReceivedResponse
from kuma_sd.system.deadline import Deadline
from kuma_sd.system.descriptors import require_descriptors
from kuma_sd.system.malloc import LARGE, give_back

_log = logging.getLogger(__name__)

# A thread that waits for a response is woken ten times a second, in case it is the main thread, which has to look after
# signals (grpc/grpc#19464). Ours never is, and what it waits for wakes it; this was half of an idle daemon's CPU.
grpc._common.MAXIMUM_WAIT_TIMEOUT = 3600.0  # type: ignore[attr-defined] # noqa: SLF001 (nothing public says so)

QUIET_SECONDS = 1800.0
"""After which silence a stream is replaced."""

LARGEST_LIMIT = 2**31 - 1
"""What gRPC takes for a limit of sizes, in bytes."""

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

    A stream that has been silent for long is replaced by another over the same connection: a server that locked up
    goes on answering pings, and only a question that must be answered shows it.

    Args:
        endpoint: where the server listens.
        dialect: the version to speak.
        options: how to talk to it.
        access: how to be let in.
        patience: how long the first answer to a question may take, in seconds.
    """

    next_within = float("inf")

    def __init__(
        self, endpoint: Endpoint, dialect: Dialect, options: MadsOptions, access: Access, patience: float
    ) -> None:
        self._dialect = dialect
        self._node = Node(id=options.name)
        self._max_message_size = min(options.max_message_size, LARGEST_LIMIT)
        self._metadata = tuple((name.lower(), value) for name, value in access.headers().items())
        _check_descriptors()
        self._patience = patience
        self._deadline = Deadline(f"deadline of {endpoint}", self._give_up)
        self._channel = _channel(endpoint, dialect, options, access)
        self._call: grpc.Call | None = None
        self._requests: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._answered = self._gave_up = self._closed = False

    def __iter__(self) -> Iterator[MadsResponse]:
        """Yield responses; asking for the next one acknowledges the last.

        Raises:
            SourceError: the stream cannot be made, breaks, or holds what is no response.
        """
        try:
            while True:
                yield from self._stream()
                _log.debug("the stream was silent for %g s and is replaced by another", QUIET_SECONDS)
        except grpc.RpcError as error:
            raise self._explain(error) from error
        except ValueError as error:
            # What grpc raises for a call on a channel that was closed in the meantime.
            raise SourceError("the connection was closed") from error
        finally:
            self.close()

    def close(self) -> None:
        """End the stream; a thread that waits for a response wakes at once."""
        self._closed = True
        self._deadline.close()
        self._requests.put(None)
        self._channel.close()

    def _stream(self) -> Iterator[MadsResponse]:
        """Yield the responses of one stream, until it has been silent for long."""
        self._requests = queue.SimpleQueue()
        self._answered = self._gave_up = False
        self._send(version="", nonce="")
        # Bytes in, bytes out: gRPC would hide the reason why a message does not parse.
        stream: grpc.StreamStreamMultiCallable[bytes, bytes] = self._channel.stream_stream(self._dialect.method)
        call = self._call = stream(iter(self._requests.get, None), metadata=self._metadata)
        self._deadline.set(self._patience)
        try:
            for data in call:
                self._deadline.set(None)
                self._answered = True
                size = len(data)
                if size >= LARGE:
                    # What gRPC put it together from would stand beside what it is parsed to.
                    give_back()
                message = _parse(data, self._dialect.codec)
                del data
                version, nonce = message.version_info, message.nonce
                response = MadsResponse(self._dialect.codec, message.resources, size)
                # Nothing of a large message may stay while the next one is awaited.
                del message
                yield response
                del response
                self._send(version, nonce)
                self._deadline.set(QUIET_SECONDS)
            raise SourceError("it ended the stream")
        except grpc.RpcError:
            if not (self._gave_up and self._answered) or self._closed:
                raise
        finally:
            # Ends the thread of gRPC that sends them.
            self._requests.put(None)

    def _give_up(self) -> None:
        """End the stream that is silent; called when its time is over."""
        self._gave_up = True
        if self._call:
            self._call.cancel()

    def _send(self, version: str, nonce: str) -> None:
        request = DiscoveryRequest(
            version_info=version, node=self._node, type_url=self._dialect.codec.type_url, response_nonce=nonce
        )
        self._requests.put(request.SerializeToString())

    def _explain(self, error: grpc.RpcError) -> SourceError:
        # Every error of a call is also a Call, which the types do not say.
        assert isinstance(error, grpc.Call)
        code, details = error.code(), _REASON.sub("", error.details() or "")
        if self._closed:
            return SourceError("the connection was closed")
        if self._gave_up:
            return SilentError(f"no answer within {show_duration(self._patience)}")
        # The message names the limit that was exceeded; a server has others, and ours for requests is never reached.
        size = re.search(rf"([0-9]+) vs\. {self._max_message_size}\)", details)
        if code is grpc.StatusCode.RESOURCE_EXHAUSTED and size:
            return TooLargeError(self._max_message_size, int(size[1]))
        if code is grpc.StatusCode.UNIMPLEMENTED:
            return NotImplementedThereError(f"it does not speak MADS {self._dialect.codec.name} over gRPC")
        if code is grpc.StatusCode.UNAVAILABLE:
            return UnreachableError(details)
        return SourceError(f"{code.name.lower().replace('_', ' ')}: {details}")


def _check_descriptors() -> None:
    try:
        # Where gRPC finds none to wake itself up with, it aborts the process.
        require_descriptors()
    except OSError as error:
        raise SourceError(f"cannot connect: {error.strerror}") from error


# What gRPC says before the reason: which addresses it tried.
_REASON = re.compile(r"^failed to connect to all addresses; last error: (?:[A-Z]+: )?")


def _channel(endpoint: Endpoint, dialect: Dialect, options: MadsOptions, access: Access) -> grpc.Channel:
    arguments: list[tuple[str, int | str]] = [
        # Each attempt has a channel of its own; in the global pool it would inherit the back-off of the last one.
        ("grpc.use_local_subchannel_pool", 1),
        ("grpc.enable_retries", 0),
        ("grpc.min_reconnect_backoff_ms", CONNECT_TIMEOUT * 1000),
        ("grpc.max_receive_message_length", min(options.max_message_size, LARGEST_LIMIT)),
        ("grpc.keepalive_time_ms", dialect.keepalive * 1000),
        ("grpc.keepalive_timeout_ms", 5000),
        # Without these two a frozen peer on an idle stream was noticed after a minute only.
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


def _parse(data: bytes, codec: ResourceCodec) -> ReceivedResponse:
    try:
        message = ReceivedResponse.FromString(data)
    except DecodeError as error:
        raise GarbledError(f"its answer is no DiscoveryResponse: {error}") from error
    if problem := foreign(codec, message.type_url, message.version_info):
        raise ForeignError(f"its answer is no MADS response ({problem})")
    return message
