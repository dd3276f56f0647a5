"""Parse addresses of API servers: HTTP URLs with the prefix ``kuma-api+``."""

import re
from dataclasses import replace

from kuma_sd import Address, Url, address_of

PREFIX = "kuma-api+"

_DEFAULT_PORTS = {"http": 5681, "https": 5682}
_HAS_PORT = re.compile(r".*:[0-9]*")


def api_address(url: Url) -> Address:
    """Return the replicas of a control plane's API.

    Args:
        url: a URL like ``kuma-api+http://host:5681``; the default port is that of Kuma's API.

    Raises:
        ConfigError: it is not such a URL.
    """
    scheme = url.scheme.removeprefix(PREFIX)
    port = _DEFAULT_PORTS[scheme]
    hosts = [host if not host or _HAS_PORT.fullmatch(host) else f"{host}:{port}" for host in url.hosts.split(",")]
    return address_of(replace(url, scheme=scheme, hosts=",".join(hosts)))
