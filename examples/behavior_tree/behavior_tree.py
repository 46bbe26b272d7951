#!/usr/bin/env python3
"""A behavior tree that acts on gestures, with py_trees: `pip install py_trees`.

    [o] robot                      a selector: the first branch that does not fail
        [-] forward                a sequence: thumbs up is shown, then drive forward
        [-] backward               a sequence: thumbs down is shown, then drive backward
        --> stop

`GestureIsShown` is what a tree of your own needs. It succeeds only while a gesture can be trusted: it is stable, its frame is not older than
`max_age`, and the topic is not silent. Everything else, such as a stale or unfamiliar picture, makes it fail.
"""

from __future__ import annotations

import signal
import threading
import time

import py_trees
import rclpy
from geometry_msgs.msg import Twist
from py_trees.common import Status
from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
from rclpy.duration import Duration
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.signals import SignalHandlerOptions
from thumb_gesture.msg import ThumbGesture

RATE_HZ = 10.0


class Gestures(Node):
    """The node of the tree, and the last gesture that it has received."""

    def __init__(self) -> None:
        super().__init__("behavior_tree")
        self._declare("speed", 0.1, (0.0, 1.0), "speed in m/s")
        self._declare("timeout", 0.5, (0.1, 5.0), "time without a gesture after which none is shown, in seconds")
        self._declare("max_age", 0.5, (0.05, 5.0), "maximum age of the frame of a gesture, in seconds")
        self._last = ThumbGesture()
        self._received = float("-inf")
        # Of the frame, when the message was received, in seconds.
        self._age = float("inf")
        self.create_subscription(ThumbGesture, "thumb_gesture", self._receive, 1)

    def value(self, name: str) -> float:
        """The value of a parameter, which may change."""
        return self.get_parameter(name).value

    def _declare(self, name: str, default: float, limits: tuple[float, float], description: str) -> None:
        values = FloatingPointRange(from_value=limits[0], to_value=limits[1])
        self.declare_parameter(name, default, ParameterDescriptor(description=description, floating_point_range=[values]))

    def is_shown(self, gesture: int) -> bool:
        """Whether a gesture is shown now, as far as can be known."""
        # On the steady clock: what is silent cannot say that it is stale.
        is_silent = time.monotonic() - self._received > self.value("timeout")
        is_old = self._age > self.value("max_age")
        return self._last.gesture == gesture and self._last.stable and not is_old and not is_silent

    def _receive(self, message: ThumbGesture) -> None:
        self._last = message
        self._received = time.monotonic()
        self._age = message.age.sec + message.age.nanosec * 1e-9
        stamp = message.header.stamp.sec + message.header.stamp.nanosec * 1e-9
        if stamp:
            # A recorded message that is played again has a low age and an old stamp.
            self._age = max(self._age, self.get_clock().now().nanoseconds * 1e-9 - stamp)


class GestureIsShown(py_trees.behaviour.Behaviour):
    """Succeeds while a gesture is shown that can be trusted, and fails otherwise."""

    def __init__(self, name: str, gestures: Gestures, gesture: int) -> None:
        super().__init__(name)
        self._gestures = gestures
        self._gesture = gesture

    def update(self) -> Status:
        """Looks at the last gesture."""
        return Status.SUCCESS if self._gestures.is_shown(self._gesture) else Status.FAILURE


class Drive(py_trees.behaviour.Behaviour):
    """Publishes a velocity at each tick, and is never done."""

    def __init__(self, name: str, publisher: Publisher, gestures: Gestures, direction: float) -> None:
        super().__init__(name)
        self._publisher = publisher
        self._gestures = gestures
        self._direction = direction

    def update(self) -> Status:
        """Publishes the velocity."""
        twist = Twist()
        twist.linear.x = self._direction * self._gestures.value("speed")
        self._publisher.publish(twist)
        return Status.RUNNING


def tree_of(gestures: Gestures, publisher: Publisher) -> py_trees.trees.BehaviourTree:
    """The tree of a robot that drives by gestures."""
    robot = py_trees.composites.Selector("robot", memory=False)
    for name, gesture, direction in [("forward", ThumbGesture.THUMBS_UP, 1.0), ("backward", ThumbGesture.THUMBS_DOWN, -1.0)]:
        # Without memory: the gesture is looked at in each tick.
        branch = py_trees.composites.Sequence(name, memory=False)
        branch.add_children([GestureIsShown(f"{name} is shown", gestures, gesture), Drive(f"drive {name}", publisher, gestures, direction)])
        robot.add_child(branch)
    robot.add_child(Drive("stop", publisher, gestures, 0.0))
    return py_trees.trees.BehaviourTree(robot)


def main() -> None:
    """Ticks the tree until SIGINT or SIGTERM, then stops the robot."""
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    is_ending = threading.Event()
    for end in (signal.SIGINT, signal.SIGTERM):
        signal.signal(end, lambda *_: is_ending.set())
    gestures = Gestures()
    publisher = gestures.create_publisher(Twist, "cmd_vel", 1)
    tree = tree_of(gestures, publisher)
    next_tick = time.monotonic()
    while not is_ending.is_set():
        rclpy.spin_once(gestures, timeout_sec=max(0.0, next_tick - time.monotonic()))
        if time.monotonic() >= next_tick:
            tree.tick()
            next_tick += 1.0 / RATE_HZ
    publisher.publish(Twist())
    publisher.wait_for_all_acked(Duration(seconds=1.0))
    rclpy.shutdown()


if __name__ == "__main__":
    main()
