"""Resources of a response over gRPC, as they stand in it: a message with its type."""

from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message

from kuma_sd.mads.codecs.v1 import TYPE_URL


def packed(assignment: Message, type_url: str = TYPE_URL) -> bytes:
    """Return an assignment as a resource; Kuma's bytes of an unchanged one are the same in every response."""
    value = assignment.SerializeToString(deterministic=True)
    return Any(type_url=type_url, value=value).SerializeToString()
