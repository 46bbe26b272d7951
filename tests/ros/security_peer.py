"""A program beside the node: publishes images, and prints as JSON whether it receives gestures and responses of the node.

Usage: security_peer.py SECONDS [ROS arguments], where SECONDS is the time after which it gives up.
"""

from __future__ import annotations

import json
import sys
import time

import numpy
import rclpy
from sensor_msgs.msg import Image
from thumb_gesture.msg import ThumbGesture
from thumb_gesture.srv import ListModels

from harness import BEST_EFFORT, CAMERA, NAMESPACE, NODE
from images import raw


def main() -> None:
    """Publishes until both have arrived, or the time is over."""
    rclpy.init(args=sys.argv[2:])
    node = rclpy.create_node("peer", namespace=NAMESPACE, enable_rosout=False, start_parameter_services=False)
    publisher = node.create_publisher(Image, CAMERA, BEST_EFFORT)
    gestures: list[ThumbGesture] = []
    node.create_subscription(ThumbGesture, NODE, gestures.append, 10)
    client = node.create_client(ListModels, f"{NODE}/list_models")
    image = raw(numpy.random.default_rng(1).integers(0, 256, (48, 64, 3), numpy.uint8), "rgb8")
    response = None
    end = time.monotonic() + float(sys.argv[1])
    while time.monotonic() < end and not (gestures and response and response.done()):
        image.data[0] = (image.data[0] + 1) % 256
        image.header.stamp = node.get_clock().now().to_msg()
        publisher.publish(image)
        if response is None and client.service_is_ready():
            response = client.call_async(ListModels.Request())
        rclpy.spin_once(node, timeout_sec=0.05)
    fresh = any(gesture.reason != "stale" for gesture in gestures)
    print(json.dumps({"gesture": fresh, "response": bool(response and response.done())}))
    node.destroy_node()
    rclpy.try_shutdown()


if __name__ == "__main__":
    main()
