#!/usr/bin/env python3
"""Drives a robot by gestures: thumbs up forward, thumbs down backward, everything else stops it.

Publishes `cmd_vel` continuously, with velocity 0 unless a stable gesture of a frame not older than `max_age` was received within the last
`timeout`. The robot therefore stops without camera, model, node or network.
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

RATE_HZ = 10.0
DIRECTION = {ThumbGesture.THUMBS_UP: 1.0, ThumbGesture.THUMBS_DOWN: -1.0}


class GestureToCmdVel(Node):
    """Subscribes to `thumb_gesture`, publishes `cmd_vel`."""

    def __init__(self) -> None:
        super().__init__("gesture_to_cmd_vel")
        self._declare("speed", 0.1, (0.0, 1.0), "speed in m/s")
        self._declare("timeout", 0.5, (0.1, 5.0), "time without a gesture after which the robot stops, in seconds")
        self._declare("max_age", 0.5, (0.05, 5.0), "maximum age of the frame of a gesture, in seconds")
        self._direction = 0.0
        self._valid_until = 0.0
        self._publisher = self.create_publisher(Twist, "cmd_vel", 1)
        self.create_subscription(ThumbGesture, "thumb_gesture", self._receive, 1)
        # Steady time, as time.monotonic: a robot keeps driving while a simulated clock stands still.
        self.create_timer(1.0 / RATE_HZ, self._publish, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def stop(self) -> None:
        """Publishes velocity 0 and waits at most 1 s for acknowledgments."""
        self._publisher.publish(Twist())
        self._publisher.wait_for_all_acked(Duration(seconds=1.0))

    def _declare(self, name: str, default: float, limits: tuple[float, float], description: str) -> None:
        values = FloatingPointRange(from_value=limits[0], to_value=limits[1])
        self.declare_parameter(
            name, default, ParameterDescriptor(description=description, floating_point_range=[values])
        )

    def _receive(self, message: ThumbGesture) -> None:
        is_valid = message.stable and self._age_of(message) <= self.get_parameter("max_age").value
        self._direction = DIRECTION.get(message.gesture, 0.0) if is_valid else 0.0
        # Without a further message, the robot stops: what is silent cannot say that it is stale.
        self._valid_until = time.monotonic() + self.get_parameter("timeout").value

    def _age_of(self, message: ThumbGesture) -> float:
        """Age of the frame in seconds: at least what the node says, and by its stamp, since a recorded message may be played again."""
        age = message.age.sec + message.age.nanosec * 1e-9
        stamp = message.header.stamp.sec + message.header.stamp.nanosec * 1e-9
        return max(age, self.get_clock().now().nanoseconds * 1e-9 - stamp) if stamp else age

    def _publish(self) -> None:
        twist = Twist()
        if time.monotonic() < self._valid_until:
            twist.linear.x = self._direction * self.get_parameter("speed").value
        self._publisher.publish(twist)


def main() -> None:
    """Runs the node until SIGINT or SIGTERM."""
    # rclpy's handlers would shut down communication before the node has published velocity 0. An exception raised by a handler
    # could interrupt any statement, so the handlers only set an event.
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    is_ending = threading.Event()
    for end in (signal.SIGINT, signal.SIGTERM):
        signal.signal(end, lambda *_: is_ending.set())
    try:
        node = GestureToCmdVel()
    except ParameterException as error:
        sys.exit(f"gesture_to_cmd_vel: {error}")
    while not is_ending.is_set():
        rclpy.spin_once(node, timeout_sec=1.0 / RATE_HZ)
    node.stop()
    rclpy.shutdown()


if __name__ == "__main__":
    main()
