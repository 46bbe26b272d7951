#!/usr/bin/env python3
"""Drives a robot by gestures: thumbs up is forward, thumbs down is backward, and everything else stops it.

`cmd_vel` is published all the time, and says zero unless a stable gesture has been heard within the last `timeout`:
no camera, no model, no node and no network mean no movement.
"""

from __future__ import annotations

import signal
import sys
import threading
import time

import rclpy
from geometry_msgs.msg import Twist
from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
from rclpy.clock import Clock, ClockType
from rclpy.duration import Duration
from rclpy.exceptions import ParameterException
from rclpy.node import Node
from rclpy.signals import SignalHandlerOptions
from thumb_gesture.msg import ThumbGesture

RATE = 10.0  # messages on cmd_vel, 1/s
DIRECTION = {ThumbGesture.THUMBS_UP: 1.0, ThumbGesture.THUMBS_DOWN: -1.0}


class GestureToCmdVel(Node):
    """Hears `thumb_gesture`, says `cmd_vel`."""

    def __init__(self) -> None:
        super().__init__("gesture_to_cmd_vel")
        self._declare("speed", 0.1, (0.0, 1.0), "how fast to drive, m/s")
        self._declare("timeout", 0.5, (0.1, 5.0), "without a gesture for so long the robot stops, s")
        self._direction = 0.0
        self._holds_until = 0.0
        self._publisher = self.create_publisher(Twist, "cmd_vel", 1)
        self.create_subscription(ThumbGesture, "thumb_gesture", self._hear, 1)
        # A robot drives on while a simulated clock stands still: the time here is a steady one, as in time.monotonic.
        self.create_timer(1.0 / RATE, self._say, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def stop(self) -> None:
        """Tells the robot to stop; it has a second to hear it."""
        self._publisher.publish(Twist())
        self._publisher.wait_for_all_acked(Duration(seconds=1.0))

    def _declare(self, name: str, default: float, least_and_most: tuple[float, float], description: str) -> None:
        least, most = least_and_most
        values = FloatingPointRange(from_value=least, to_value=most)
        self.declare_parameter(
            name, default, ParameterDescriptor(description=description, floating_point_range=[values])
        )

    def _hear(self, message: ThumbGesture) -> None:
        self._direction = DIRECTION.get(message.gesture, 0.0) if message.stable else 0.0
        self._holds_until = time.monotonic() + self.get_parameter("timeout").value

    def _say(self) -> None:
        twist = Twist()
        if time.monotonic() < self._holds_until:
            twist.linear.x = self._direction * self.get_parameter("speed").value
        self._publisher.publish(twist)


def main() -> None:
    """Runs the node until a signal ends it."""
    # rclpy's own handlers would end the communication before the robot is told to stop. An exception from a handler could
    # come in the middle of anything: so they only note that it is time.
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    is_ending = threading.Event()
    for end in (signal.SIGINT, signal.SIGTERM):
        signal.signal(end, lambda *_: is_ending.set())
    try:
        node = GestureToCmdVel()
    except ParameterException as error:
        sys.exit(f"gesture_to_cmd_vel: {error}")
    while not is_ending.is_set():
        rclpy.spin_once(node, timeout_sec=1.0 / RATE)
    node.stop()
    rclpy.shutdown()


if __name__ == "__main__":
    main()
