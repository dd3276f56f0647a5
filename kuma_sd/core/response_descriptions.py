"""Describe what a server sent without quoting it.

A server, or a proxy before it, may send back what it was sent: credentials, whole, in parts or in another encoding.
Messages reach the log, the status page and plugins, so no message quotes a server. Whatever describes something that a
server sent is made here, of our own words and of forms that cannot hold a secret.
"""

import re
from typing import TYPE_CHECKING

import msgspec

from kuma_sd.core.errors import KumaSDError
from kuma_sd.core.text import size

if TYPE_CHECKING:
    import ssl

_KUMA = "type.googleapis.com/kuma.observability"

_TYPES = {
    f"{_KUMA}.v1.MonitoringAssignment",
    f"{_KUMA}.v1alpha1.MonitoringAssignment",
    "type.googleapis.com/envoy.config.cluster.v3.Cluster",
    "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment",
    "type.googleapis.com/envoy.config.listener.v3.Listener",
    "type.googleapis.com/envoy.config.route.v3.RouteConfiguration",
    "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
    "type.googleapis.com/envoy.service.runtime.v3.Runtime",
}

# Patterns are compiled when they are first used: answers are described only where something is wrong.
_VERSION = r"[0-9]{1,3}\.[0-9]{1,3}(?:\.[0-9]{1,3})?(?![0-9.])"

_KINDS = {b"<!doctype html": "an HTML page", b"<html": "an HTML page", b"<": "XML", b"{": "JSON", b"[": "JSON"}

_START_BYTES = 100

# X509_V_ERR_HOSTNAME_MISMATCH and X509_V_ERR_IP_ADDRESS_MISMATCH of OpenSSL's x509_vfy.h.
_OTHER_NAME = (62, 64)

# msgspec names types, and fields of our own structures; never a value.
_PROBLEM = (
    r"(?:Expected `[a-z |]+`, got `[a-z]+`|Object missing required field `[\w@]+`|Number out of range"
    r"|Expected `array` of at most length [0-9]+"
    r"|Input data was truncated|JSON is malformed: [a-z ',:}\]]+ \(byte [0-9]+\))(?: - at `\$[\w@.\[\]]*`)?"
)


def type_shown(type_url: str) -> str:
    """Return a resource type of Kuma or Envoy in quotes; ``unknown`` for anything else."""
    return repr(type_url) if type_url in _TYPES else "unknown"


def version_shown(version: str) -> str:
    """Return the numbers of a version, like ``2.14.3``; empty if it has no such form."""
    found = re.match(_VERSION, version.removeprefix("v"))
    return found[0] if found else ""


def body_shown(body: bytes | bytearray) -> str:
    """Return the kind and size of a body, like ``an HTML page, 12 KiB``."""
    start = body[:_START_BYTES].lstrip().lower()
    kind = next((name for beginning, name in _KINDS.items() if start.startswith(beginning)), "neither JSON nor HTML")
    return f"{kind}, {size(len(body))}" if body else "empty"


def certificate_shown(error: "ssl.SSLCertVerificationError", advice: str = "") -> str:
    """Return why a server's certificate is refused; the text of OpenSSL quotes nothing of it.

    Args:
        error: the error.
        advice: what to do if the certificate is for another name.
    """
    if error.verify_code in _OTHER_NAME:
        return f"its certificate is for another name{advice and f'; {advice}'}"
    return f"{error.verify_message}; name the certificate of its authority with tls-ca-file"


def problem_shown(error: BaseException) -> str:
    """Return why something that a server sent cannot be read; only what is known to quote none of it."""
    text = str(error)
    if isinstance(error, KumaSDError) or (isinstance(error, msgspec.MsgspecError) and re.fullmatch(_PROBLEM, text)):
        return text
    known = {UnicodeDecodeError: "it is not UTF-8", RecursionError: "it is nested too deeply"}
    return next(
        (words for kind, words in known.items() if isinstance(error, kind)), f"it fails with {type(error).__name__}"
    )
