"""A typical Python node of a JetBot user: rclpy, PIL, torchvision's AlexNet, torch. Started by benches/node.py.

    peer_node.py THREADS

Publishes ThumbGesture, to be measured like this package's node. Its weights are random, which takes the same time.
"""

import signal
import sys
import threading

import numpy
import rclpy
import torch
from PIL import Image
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import qos_profile_sensor_data
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image as ImageMessage
from thumb_gesture.msg import ThumbGesture
from torchvision import models, transforms

LABELS = ["none", "thumbs_down", "thumbs_up"]


class PeerNode(Node):
    def __init__(self) -> None:
        super().__init__("thumb_gesture")
        self.network = models.alexnet(weights=None, num_classes=len(LABELS)).eval()
        self.steps = transforms.Compose(
            [
                transforms.Resize((224, 224)),
                transforms.ToTensor(),
                transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
            ]
        )
        self.publisher = self.create_publisher(ThumbGesture, "thumb_gesture", 10)
        self.create_subscription(ImageMessage, "camera/image_raw", self.classify, qos_profile_sensor_data)

    def classify(self, message: ImageMessage) -> None:
        pixels = numpy.frombuffer(message.data, numpy.uint8).reshape(message.height, message.width, 3)
        if message.encoding == "bgr8":
            pixels = pixels[:, :, ::-1]
        batch = self.steps(Image.fromarray(pixels)).unsqueeze(0)
        with torch.no_grad():
            probabilities = self.network(batch).softmax(1)[0].tolist()
        best = max(range(len(LABELS)), key=probabilities.__getitem__)
        gesture = ThumbGesture(
            header=message.header,
            label=LABELS[best],
            confidence=probabilities[best],
            labels=LABELS,
            probabilities=probabilities,
        )
        self.publisher.publish(gesture)


def main() -> None:
    torch.set_num_threads(int(sys.argv[1]))
    # rclpy's own handlers would shut down the context while a frame is classified, whose gesture could then not be published.
    rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
    is_ending = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: is_ending.set())
    executor = SingleThreadedExecutor()
    executor.add_node(PeerNode())
    while not is_ending.is_set():
        executor.spin_once(timeout_sec=0.1)


if __name__ == "__main__":
    main()
