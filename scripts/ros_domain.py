"""An unused ROS domain, for the demo and the tests."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager

# Their ports are below the ephemeral ports of Linux.
DOMAINS = range(1, 100)
# Number of participants whose ports are checked: a process left over from a killed test need not be participant 0.
PARTICIPANTS = 20


@contextmanager
def free_domain() -> Iterator[int]:
    """Yields an unused domain and reserves it until the context ends; raises OSError if there is none."""
    for domain in random.sample(DOMAINS, len(DOMAINS)):
        # First port of the domain, as the DDSI-RTPS specification defines it.
        port = 7400 + 250 * domain
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as reservation:
            try:
                # DDS uses UDP: the TCP port only reserves the domain for callers of this function.
                reservation.bind(("127.0.0.1", port))
                for participant in range(PARTICIPANTS):
                    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as discovery:
                        discovery.bind(("", port + 10 + 2 * participant))
            except OSError:
                continue
            yield domain
            return
    raise OSError(f"all ROS domains from {DOMAINS[0]} to {DOMAINS[-1]} are in use")
