"""Errors of a connection that decide what to try next."""

from kuma_sd.core.errors import SourceError


class NotImplementedThereError(SourceError):
    """The server speaks gRPC but not this version of MADS."""


class NotServedThereError(SourceError):
    """The server speaks HTTP but serves no MADS at this address; the API server of a control plane does so."""


class GarbledError(SourceError):
    """The data is not a response at all."""


class ForeignError(GarbledError):
    """The response is not a MADS response, so it is ignored."""


class UnreachableError(SourceError):
    """gRPC cannot connect, or the server does not speak gRPC. HTTP is tried next, and its error is clearer."""
