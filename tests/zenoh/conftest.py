"""Fixtures: worlds whose programs communicate by Zenoh instead of DDS, on one machine and on several."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from ament_index_python.packages import get_packages_with_prefixes

# Before rclpy is imported.
if "rmw_zenoh_cpp" in get_packages_with_prefixes():
    os.environ["RMW_IMPLEMENTATION"] = "rmw_zenoh_cpp"
TESTS = Path(__file__).resolve().parents[1]
sys.path += [str(TESTS / "ros"), str(TESTS / "network")]
import zenoh_router  # noqa: E402
from harness import World, free_domain  # noqa: E402
from requirement import skip_or_fail  # noqa: E402
from robots import RobotWorld, missing, robot_world  # noqa: E402


@pytest.fixture(autouse=True)
def zenoh() -> None:
    """Skips the test where there is no Zenoh."""
    if reason := zenoh_router.missing():
        skip_or_fail("zenoh", reason)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world with a router of its own."""
    with free_domain() as domain, World(tmp_path, domain) as world:
        yield world


@pytest.fixture
def robots(tmp_path: Path) -> Iterator[RobotWorld]:
    """Camera and node on two robots behind NAT, and a server that both reach."""
    if reason := missing():
        skip_or_fail("network", reason)
    with robot_world(tmp_path) as world:
        yield world
