"""SROS 2: the node under its policy, with a program that it trusts and with strangers.

Skipped without `ros2 security` or without the security plugins of Fast DDS; its wheels on PyPI lack them.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import TrainedModel
from harness import IN_NAMESPACE, NODE, REPOSITORY, Program, World

PEER = Path(__file__).parent / "security_peer.py"
# The library of Fast DDS, version 2 (Jazzy) or 3 (Kilted).
FAST_DDS = r"/lib(fastrtps|fastdds)\.so"
# A name that is in Fast DDS with its security plugins only.
PLUGIN = b"PKI-DH"
# Discovery with certificates takes longer.
SECONDS = 30
# Time in which a trusted program would have been served several times over.
SECONDS_OF_A_STRANGER = 10


def requires_security() -> None:
    """Skips the test if this ROS cannot secure the communication."""
    if not shutil.which("ros2") or subprocess.run(["ros2", "security", "--help"], capture_output=True).returncode != 0:
        pytest.skip(f"there is no `ros2 security`; source a ROS 2 with ros-{os.environ['ROS_DISTRO']}-sros2")
    mapped = Path("/proc/self/maps").read_text().splitlines()
    loaded = {line.split()[-1] for line in mapped if re.search(FAST_DDS, line)}
    if not any(PLUGIN in Path(library).read_bytes() for library in loaded):
        pytest.skip(f"Fast DDS has no security plugins: {', '.join(loaded) or 'another middleware is in use'}")


class Keystore:
    """A certificate authority and enclaves, as `ros2 security` makes them."""

    def __init__(self, world: World, name: str) -> None:
        self.world, self.path = world, world.directory / name
        self._security("create_keystore", str(self.path))

    def _security(self, *arguments: str) -> None:
        done = subprocess.run(["ros2", "security", *arguments], env=self.world.env, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr

    def add(self, enclave: str, policy: Path | None = None) -> None:
        """Adds an enclave that may do everything, or what the policy allows."""
        self._security("create_enclave", str(self.path), enclave)
        if policy:
            self._security("create_permission", str(self.path), enclave, str(policy))

    def environment(self) -> dict[str, str]:
        """The variables of a program that uses these certificates and accepts no others."""
        return {
            "ROS_SECURITY_KEYSTORE": str(self.path),
            "ROS_SECURITY_ENABLE": "true",
            "ROS_SECURITY_STRATEGY": "Enforce",
        }


def start_node(world: World, *arguments: str, **environment: str) -> Program:
    """Starts the node without waiting for services, which are not seen from outside its enclave."""
    options = ["-p", f"dataset:={world.dataset}", "-p", f"store:={world.store}", *arguments]
    return world.start("thumb_gesture_node", *IN_NAMESPACE, *options, **environment)


def meet(world: World, seconds: int, *arguments: str, **environment: str) -> dict[str, bool]:
    """What a program gets from the node."""
    command = [sys.executable, str(PEER), str(seconds), *(["--ros-args", *arguments] if arguments else [])]
    return world.run(*command, timeout=seconds + 30, **environment)


def test_trusted_program_is_served_and_strangers_are_not(trained_world: World, trained: TrainedModel) -> None:
    requires_security()
    world = trained_world
    keystore, foreign = Keystore(world, "keystore"), Keystore(world, "foreign")
    keystore.add(NODE, REPOSITORY / "config" / "sros2_policy.xml")
    keystore.add("/peer")
    foreign.add("/peer")
    node = start_node(world, "--enclave", NODE, **keystore.environment())

    served = {"gesture": True, "response": True}
    assert meet(world, SECONDS, "--enclave", "/peer", **keystore.environment()) == served
    refused = {"gesture": False, "response": False}
    assert meet(world, SECONDS_OF_A_STRANGER) == refused, "without certificates"
    stranger = meet(world, SECONDS_OF_A_STRANGER, "--enclave", "/peer", **foreign.environment())
    assert stranger == refused, "with certificates of another authority"
    assert meet(world, SECONDS, "--enclave", "/peer", **keystore.environment()) == served, "afterwards"
    assert node.is_running() and "[ERROR]" not in node.output()


def test_node_without_certificates_does_not_start_unsecured(world: World) -> None:
    """With and without the plugins: an empty keystore."""
    environment = {"ROS_SECURITY_KEYSTORE": str(world.directory), "ROS_SECURITY_ENABLE": "true"}
    node = start_node(world, "--enclave", NODE, **environment, ROS_SECURITY_STRATEGY="Enforce")
    assert node.wait(SECONDS) == 1
    assert "security" in node.output().lower(), node.output()
