"""Camera and gesture node of the demo, and a client of their topics and services."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path

import rclpy
from rclpy.qos import QoSDurabilityPolicy, QoSProfile
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import Image
from std_msgs.msg import String
from thumb_gesture.msg import ModelInfo, ThumbGesture, TrainingStatus
from thumb_gesture.srv import CaptureFrames, Retrain

from demo_screen import DemoError
from program import Program, parameters

NAMESPACE = "/jetbot"
NODE = f"{NAMESPACE}/thumb_gesture"
CAMERA = f"{NAMESPACE}/camera/image_raw"
SHOW = f"{NAMESPACE}/photo_camera/show"

TIMEOUT = 20.0
CAPTURE_TIMEOUT = 60.0
TRAINING_TIMEOUT = 300.0
SHUTDOWN_TIMEOUT = 5.0

Tick = Callable[[], None]


class Robot:
    """A context in which camera and node run."""

    def __init__(self, directory: Path, photos: Path | None, first_label: str) -> None:
        self.directory = directory
        self.camera_options = ["--photos", str(photos)] if photos else ["--size", "320x240"]
        self.camera_options += ["--show", f"odd:{first_label}"]
        self.programs: list[Program] = []
        self.frame_id = ""
        self.model = ModelInfo()
        self.training = TrainingStatus()
        self.gestures: list[ThumbGesture] = []

    def __enter__(self) -> Robot:
        # The demo handles Ctrl-C: rclpy would shut down before the programs have ended.
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self.node = rclpy.create_node("demo", namespace=NAMESPACE)
        try:
            self.connect()
            self.start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        # Not interruptible from here on.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        for program in reversed(self.programs):
            program.interrupt()
            program.wait(SHUTDOWN_TIMEOUT)
        self.node.destroy_node()
        rclpy.shutdown()

    def connect(self) -> None:
        """Creates publishers, subscriptions and clients."""
        transient_local = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
        subscribe = self.node.create_subscription
        subscribe(ModelInfo, f"{NODE}/model", lambda model: setattr(self, "model", model), transient_local)
        subscribe(
            TrainingStatus, f"{NODE}/training", lambda status: setattr(self, "training", status), transient_local
        )
        subscribe(ThumbGesture, NODE, self.gestures.append, 100)
        self.camera = subscribe(
            Image, CAMERA, lambda image: setattr(self, "frame_id", image.header.frame_id), 1
        )
        self.show_publisher = self.node.create_publisher(String, SHOW, 10)
        self.capture_client = self.node.create_client(CaptureFrames, f"{NODE}/capture")
        self.retrain_client = self.node.create_client(Retrain, f"{NODE}/retrain")

    def start(self) -> None:
        """Starts both programs and waits for services and frames."""
        in_namespace = ["--ros-args", "-r", f"__ns:={NAMESPACE}"]
        self.programs.append(Program(self.directory, "photo_camera", *self.camera_options, *in_namespace))
        options = parameters(
            dataset=self.directory / "dataset",
            store=self.directory / "store",
            # Without smoothing, as each frame shows a different hand.
            smoothing=0.0,
            # With best effort, Fast DDS loses many images of the size of photos.
            image_reliability="reliable",
        )
        self.programs.append(Program(self.directory, "thumb_gesture_node", *in_namespace, *options))
        for service in (self.capture_client, self.retrain_client):
            self.wait_until(service.service_is_ready, "the node's services did not appear")
        self.wait_until(lambda: self.frame_id, f"no frame arrived on {CAMERA}")

    def wait_until(
        self, is_met: Callable[[], object], failure: str, timeout: float = TIMEOUT, tick: Tick | None = None
    ) -> None:
        """Spins until the condition is met; raises DemoError after the timeout, and ProgramError if a program has ended."""
        deadline = time.monotonic() + timeout
        while not is_met():
            if time.monotonic() > deadline:
                raise DemoError(f"{failure} within {timeout:.0f} s")
            self.spin_once()
            if tick:
                tick()

    def spin_once(self) -> None:
        """Processes messages; raises ProgramError if a program has ended."""
        rclpy.spin_once(self.node, timeout_sec=0.05)
        for program in self.programs:
            program.check()

    def show(self, what: str, is_shown: Callable[[], object]) -> None:
        """Makes the camera show `what`, and waits until `is_shown`."""
        self.wait_until(lambda: self.show_publisher.get_subscription_count() > 0, "the camera did not subscribe to its topic show")
        self.frame_id = ""
        self.show_publisher.publish(String(data=what))
        self.wait_until(is_shown, f"the camera did not show {what}")

    def capture(self, label: str, count: int, tick: Tick) -> None:
        """Makes the camera show a label and the node capture frames of it."""
        self.show(f"odd:{label}", lambda: self.frame_id == f"camera_{label}")
        response = self.capture_client.call_async(CaptureFrames.Request(label=label, frames=count))
        self.wait_until(response.done, "~/capture did not respond", CAPTURE_TIMEOUT, tick)
        if not response.result().success:
            raise DemoError(f"~/capture failed: {response.result().message}")

    def captured(self, label: str) -> int:
        """Number of saved frames of a label."""
        return len(list((self.directory / "dataset" / label).glob("*.jpg")))

    def train(self, tick: Tick) -> TrainingStatus:
        """Trains and waits until the node uses the new model; returns the last status."""
        self.training = TrainingStatus(state=TrainingStatus.RUNNING)
        response = self.retrain_client.call_async(Retrain.Request())
        self.wait_until(response.done, "~/retrain did not respond")
        if not response.result().success:
            raise DemoError(f"~/retrain failed: {response.result().message}")
        self.wait_until(
            lambda: self.training.state != TrainingStatus.RUNNING,
            "the training did not end",
            TRAINING_TIMEOUT,
            tick,
        )
        if self.training.state != TrainingStatus.SUCCEEDED:
            raise DemoError(f"the training failed: {self.training.message}")
        self.wait_until(
            lambda: self.model.model_id == self.training.model_id, "the node did not activate the new model"
        )
        return self.training

    def show_others(self) -> int:
        """Makes the camera show images that were not captured; returns the time from which it does, in nanoseconds."""
        last_captured = self.frame_id
        self.show("even:all", lambda: self.frame_id not in ("", last_captured))
        self.node.destroy_subscription(self.camera)
        return self.node.get_clock().now().nanoseconds

    def gestures_since(self, since: int) -> list[ThumbGesture]:
        """Received gestures for frames with stamps after `since`, in nanoseconds, without stale ones."""
        self.spin_once()
        new = [gesture for gesture in self.gestures if nanoseconds_of(gesture.header.stamp) > since]
        self.gestures.clear()
        return [gesture for gesture in new if gesture.reason != "stale"]


def nanoseconds_of(time_or_duration: object) -> int:
    """A time or duration message in nanoseconds."""
    return time_or_duration.sec * 1_000_000_000 + time_or_duration.nanosec
