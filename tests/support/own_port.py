"""Ports that a server can leave and come back to."""

import random
import socket

# Below those that the kernel gives to clients and to servers that ask for any port (ip_local_port_range), so that no
# other test gets a port that its server has left for a moment.
OWN = range(20_000, 30_000)


def own_port() -> int:
    """Return a port on 127.0.0.1 that nothing listens at and that the kernel gives to nobody else."""
    while True:
        port = random.choice(OWN)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
