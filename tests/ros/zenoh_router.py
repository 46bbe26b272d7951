"""The router of rmw_zenoh_cpp, through which programs find each other; other middleware needs none."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import rclpy
from ament_index_python.packages import PackageNotFoundError, get_package_prefix

PACKAGE = "rmw_zenoh_cpp"
# What the router prints once programs can connect to it.
READY = "Started Zenoh router"


def is_in_use() -> bool:
    """Whether this process, and the programs that it starts, communicate by Zenoh."""
    return rclpy.get_rmw_implementation_identifier() == PACKAGE


def program() -> str:
    """Path of the router; raises PackageNotFoundError without rmw_zenoh_cpp."""
    return str(Path(get_package_prefix(PACKAGE)) / "lib" / PACKAGE / "rmw_zenohd")


def missing() -> str | None:
    """Why there is no communication by Zenoh here; None if there is."""
    try:
        program()
    except PackageNotFoundError:
        return f"{PACKAGE} is not sourced; install ros-jazzy-rmw-zenoh-cpp"
    return None if is_in_use() else f"{rclpy.get_rmw_implementation_identifier()} is in use; set RMW_IMPLEMENTATION={PACKAGE}"


def free_endpoint() -> str:
    """An endpoint of this machine on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"tcp/127.0.0.1:{probe.getsockname()[1]}"


def configuration(fields: dict[str, str] | None = None, **endpoints: list[str]) -> dict[str, str]:
    """The variable that makes a program `listen` on endpoints and `connect` to others; the rest of its configuration is as it comes."""
    given = (fields or {}) | {f"{name}/endpoints": json.dumps(those) for name, those in endpoints.items()}
    return {"ZENOH_CONFIG_OVERRIDE": ";".join(f"{name}={value}" for name, value in given.items())}
