"""Fixtures: a camera, a node and a listener on three machines, each in a network namespace (needs root)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from namespaces import NetworkWorld, missing, network_world

from requirement import skip_or_fail


@pytest.fixture
def world(tmp_path: Path) -> Iterator[NetworkWorld]:
    """The three machines; skips the test where there can be none."""
    if reason := missing():
        skip_or_fail("network", reason)
    with network_world(tmp_path) as world:
        yield world
