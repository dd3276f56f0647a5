"""Find out whether a port speaks TLS or plain HTTP, to explain a failed connection. Sends no credentials."""

import socket
import ssl

from kuma_sd.http.address import Endpoint

TIMEOUT = 1.0
"""Timeout of each step, in seconds."""


def speaks_tls(endpoint: Endpoint) -> bool:
    """Tell whether a TLS handshake succeeds, without verifying the certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((endpoint.host, endpoint.port), TIMEOUT) as wire,
            context.wrap_socket(wire, server_hostname=endpoint.host),
        ):
            return True
    except (OSError, ValueError):
        return False


def speaks_plain_http(endpoint: Endpoint) -> bool:
    """Tell whether a plaintext request gets an HTTP response."""
    try:
        with socket.create_connection((endpoint.host, endpoint.port), TIMEOUT) as wire:
            wire.sendall(f"GET / HTTP/1.1\r\nHost: {endpoint.authority}\r\nConnection: close\r\n\r\n".encode())
            return wire.recv(5) == b"HTTP/"
    except (OSError, ValueError):
        return False
