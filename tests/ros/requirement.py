"""What a test needs that a machine may lack; see tests/support/runner.rs."""

from __future__ import annotations

import os
from typing import NoReturn

import pytest


def skip_or_fail(requirement: str, reason: str) -> NoReturn:
    """Skips the test, or fails if THUMB_GESTURE_REQUIRE names the requirement."""
    if requirement in os.environ.get("THUMB_GESTURE_REQUIRE", "").split(","):
        pytest.fail(reason)
    pytest.skip(reason)
