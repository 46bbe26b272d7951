"""A ROS domain that nobody else on this machine uses, for the demo and for the tests."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager

# The ports of these lie below those that Linux hands out by itself.
DOMAINS = range(1, 100)
# So many are looked for: what a killed test has left behind need not be the first that came.
PARTICIPANTS = 20


@contextmanager
def free_domain() -> Iterator[int]:
    """A free domain, held until the end; fails with OSError where there is none."""
    for domain in random.sample(DOMAINS, len(DOMAINS)):
        # The ports of a domain begin here, by DDS's own rule.
        port = 7400 + 250 * domain
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as mark:
            try:
                # DDS does not use the TCP port: it tells others who choose in this way that it is taken.
                mark.bind(("127.0.0.1", port))
                for participant in range(PARTICIPANTS):
                    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as discovery:
                        discovery.bind(("", port + 10 + 2 * participant))
            except OSError:
                continue
            yield domain
            return
    raise OSError(f"every ROS domain from {DOMAINS[0]} to {DOMAINS[-1]} is in use")
