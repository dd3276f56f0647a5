"""What can go wrong with a connection, where it matters for what to try next."""

from kuma_sd.core.errors import SourceError


class NotImplementedThereError(SourceError):
    """The server speaks gRPC but not this version of MADS."""


class NotServedThereError(SourceError):
    """The server speaks HTTP but serves no MADS at this address; the API server of a control plane does so."""


class GarbledError(SourceError):
    """What came is no response at all."""


class ForeignError(GarbledError):
    """What came is a response, but not one of MADS: nothing of it is taken."""


class UnreachableError(SourceError):
    """gRPC cannot connect, or the server speaks something else; what HTTP says of it is clearer."""
