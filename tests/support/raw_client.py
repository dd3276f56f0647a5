"""A bare gRPC client, which knows nothing of kuma-sd."""

import queue
from collections.abc import Callable
from typing import Any

import grpc

from kuma_sd.proto.discovery_pb2 import DiscoveryRequest, DiscoveryResponse, Node
from kuma_sd.simulator.encoders import GrpcV1


class Client:
    """A bare gRPC client with one stream."""

    def __init__(self, address: str, method: str = GrpcV1.method) -> None:
        options = (
            ("grpc.max_receive_message_length", -1),
            ("grpc.use_local_subchannel_pool", 1),
            ("grpc.enable_http_proxy", 0),
        )
        self.channel = grpc.insecure_channel(address, options=options)
        self._requests: queue.SimpleQueue[DiscoveryRequest | None] = queue.SimpleQueue()
        stream: grpc.StreamStreamMultiCallable[DiscoveryRequest, bytes]
        stream = self.channel.stream_stream(method, DiscoveryRequest.SerializeToString)
        self.call: Any = stream(iter(self._requests.get, None), timeout=10)

    def ask(self, version: str = "", nonce: str = "", **fields: Any) -> None:
        every: dict[str, Any] = {"node": Node(id="test"), "type_url": GrpcV1.type_url} | fields
        self._requests.put(DiscoveryRequest(version_info=version, response_nonce=nonce, **every))

    def ack(self, response: DiscoveryResponse) -> None:
        self.ask(response.version_info, response.nonce)

    def raw(self) -> bytes:
        message: bytes = next(self.call)
        return message

    def receive(self) -> DiscoveryResponse:
        return DiscoveryResponse.FromString(self.raw())

    def half_close(self) -> None:
        self._requests.put(None)

    def close(self) -> None:
        self.half_close()
        self.call.cancel()
        self.channel.close()


Connect = Callable[..., Client]
