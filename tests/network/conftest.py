"""Fixtures: a camera, a node and a listener on three machines, each in a network namespace (needs root)."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from namespaces import PROFILE, Network, NetworkWorld, free_domain, missing


@pytest.fixture
def world(tmp_path: Path) -> Iterator[NetworkWorld]:
    """The three machines, with the package's profile for networks; skips the test where there can be none."""
    if reason := missing():
        # See tests/support/runner.rs.
        if "network" in os.environ.get("THUMB_GESTURE_REQUIRE", "").split(","):
            pytest.fail(reason)
        pytest.skip(reason)
    with Network() as network, free_domain() as domain, NetworkWorld(tmp_path, domain, network) as world:
        world.env["FASTRTPS_DEFAULT_PROFILES_FILE"] = str(PROFILE)
        yield world
