"""Starts the installed programs, communicates with them over ROS, and waits for conditions."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path, PurePosixPath
from typing import Any

import rclpy
from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.msg import Parameter, ParameterType, ParameterValue
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.qos import QoSDurabilityPolicy, QoSProfile, QoSReliabilityPolicy
from rclpy.signals import SignalHandlerOptions
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import String
from std_srvs.srv import Trigger
from thumb_gesture.msg import ModelInfo, ThumbGesture, TrainingStatus
from thumb_gesture.srv import (
    ActivateModel,
    AddFrame,
    CaptureFrames,
    CompareModels,
    DeleteFrames,
    DeleteModel,
    GetFrame,
    GetReport,
    GetResults,
    ListFrames,
    ListModels,
    Record,
    RelabelFrames,
    Retrain,
)

import zenoh_router
from images import describe

REPOSITORY = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(REPOSITORY / "scripts"))
from ros_domain import free_domain  # noqa: E402, F401

# Photos of hands, one directory per label; need not be there.
PHOTOS = Path(os.environ.get("THUMB_GESTURE_PHOTOS", REPOSITORY.parent / "shared" / "photos"))

# The variable with the file of Fast DDS profiles: version 3 (Kilted) has another one than version 2 (Jazzy).
IS_JAZZY = os.environ.get("ROS_DISTRO", "jazzy") == "jazzy"
PROFILE_VARIABLE = "FASTRTPS_DEFAULT_PROFILES_FILE" if IS_JAZZY else "FASTDDS_DEFAULT_PROFILES_FILE"

NAMESPACE = "/jetbot"
NODE = f"{NAMESPACE}/thumb_gesture"
CAMERA = f"{NAMESPACE}/camera/image_raw"
IN_NAMESPACE = ["--ros-args", "-r", f"__ns:={NAMESPACE}"]
LABELS = ["none", "thumbs_down", "thumbs_up"]
FRAMES_PER_LABEL = 100

# Deep enough to keep every message while a test does something else.
EVERY_MESSAGE = QoSProfile(depth=1000)
NEWEST = QoSProfile(depth=1)
BEST_EFFORT = QoSProfile(depth=5, reliability=QoSReliabilityPolicy.BEST_EFFORT)
TRANSIENT_LOCAL = QoSProfile(depth=1000, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)

TIMEOUT = 20.0
TRAINING_TIMEOUT = 120.0


class Program:
    """A process with its output in a file."""

    def __init__(self, log: Path, env: dict[str, str], command: list[str]) -> None:
        self.log = log
        self.command = command
        with log.open("wb") as output:
            self.process = subprocess.Popen(
                command,
                env=env,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )

    @property
    def name(self) -> str:
        """Name of the executable, without its directory."""
        return Path(self.command[0]).name

    def output(self) -> str:
        """The output so far, standard output and standard error."""
        return self.log.read_text(errors="replace")

    def wait_for_output(self, text: str, timeout: float = TIMEOUT) -> None:
        """Waits until the program has printed a text; fails after the timeout, or if it ends."""
        deadline = time.monotonic() + timeout
        while text not in self.output():
            assert self.is_running() and time.monotonic() < deadline, f"{self.name} has not printed {text}:\n{self.output()}"
            time.sleep(0.02)

    def is_running(self) -> bool:
        """Whether the program still runs."""
        return self.process.poll() is None

    def end(self, with_signal: signal.Signals = signal.SIGINT, timeout: float = 5.0) -> int:
        """Sends a signal and returns the exit status; fails if the program does not end in time."""
        self.process.send_signal(with_signal)
        return self.wait(timeout)

    def wait(self, timeout: float) -> int:
        """Waits until the program ends and returns the exit status."""
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"{self.name} has not ended within {timeout} s\n{self.stacks()}") from None

    def stacks(self) -> str:
        """What the threads of the program do now, if gdb is installed."""
        if not shutil.which("gdb"):
            return "gdb would print the stacks of its threads"
        command = ["gdb", "-batch", "-p", str(self.process.pid), "-ex", "thread apply all backtrace"]
        return subprocess.run(command, capture_output=True, text=True, timeout=60).stdout

    def kill(self) -> None:
        """Kills the program and its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def children(self) -> list[int]:
        """Process ids of the running child processes."""
        files = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        return [int(pid) for file in files for pid in file.read_text().split()]


class World:
    """A ROS domain and a directory, in which programs of the package run, and a node `peer` that communicates with them."""

    DISCOVERY_RANGE = "LOCALHOST"

    def __init__(self, directory: Path, domain: int) -> None:
        self.directory = directory
        self.dataset = directory / "dataset"
        self.store = directory / "store"
        self.programs: list[Program] = []
        self.env = os.environ | {
            "ROS_DOMAIN_ID": str(domain),
            "ROS_AUTOMATIC_DISCOVERY_RANGE": self.DISCOVERY_RANGE,
            "ROS_LOG_DIR": str(directory / "log"),
        }
        # For rclpy in this process.
        os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = self.DISCOVERY_RANGE
        os.environ.setdefault("ROS_LOG_DIR", str(directory / "log"))
        if zenoh_router.is_in_use():
            self.start_routers()
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain, signal_handler_options=SignalHandlerOptions.NO)
        self.peer = rclpy.create_node("peer", context=self.context, namespace=NAMESPACE, enable_rosout=False)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.peer)
        self.clients: dict[str, Any] = {}

    def __enter__(self) -> World:
        return self

    def __exit__(self, *_: object) -> None:
        """Ends all programs and prints their output, which pytest shows if the test fails."""
        try:
            running = [program for program in reversed(self.programs) if program.is_running()]
            endings = [(program.name, program.end()) for program in running]
        finally:
            self.close()
        assert not any(status for _, status in endings), f"exit statuses {endings}"

    def close(self) -> None:
        """Kills running programs, prints all outputs and leaves the domain."""
        self.leave()
        for program in self.programs:
            print(f"--- {' '.join(program.command)}\n{program.output()}")

    def leave(self) -> None:
        """Kills running programs and leaves the domain."""
        for program in self.programs:
            program.kill()
        self.executor.shutdown()
        self.peer.destroy_node()
        self.context.try_shutdown()

    def start_routers(self) -> None:
        """Starts the router of Zenoh, to which all programs of this world connect, this process too."""
        self.endpoint = zenoh_router.free_endpoint()
        os.environ |= zenoh_router.configuration(connect=[self.endpoint])
        self.env |= zenoh_router.configuration(connect=[self.endpoint])
        self.router = self.start_router()

    def start_router(self) -> Program:
        """Starts the router, and waits until programs can connect to it."""
        router = self.start(zenoh_router.program(), **zenoh_router.configuration(listen=[self.endpoint]))
        router.wait_for_output(zenoh_router.READY)
        return router

    def start(self, *command: str, **env: str) -> Program:
        """Starts a program of the package."""
        return self.start_placed(self.placed(command), Path(command[0]).name, env)

    def start_placed(self, command: list[str], name: str, env: dict[str, str]) -> Program:
        """Starts a command that runs a program of this name where it belongs."""
        program = Program(self.directory / f"{len(self.programs)}_{name}.log", self.env | env, command)
        self.programs.append(program)
        return program

    def placed(self, command: tuple[str, ...]) -> list[str]:
        """The command that runs a program where it belongs: on this machine."""
        return list(command)

    def launch_node(self, *ros_arguments: str, **parameters: object) -> Program:
        """Starts the node on this world's dataset and store."""
        given = {"dataset": self.dataset, "store": self.store} | parameters
        options = [word for name, value in given.items() for word in ("-p", f"{name}:={value}")]
        return self.start("thumb_gesture_node", *IN_NAMESPACE, *ros_arguments, *options)

    def start_node(self, *ros_arguments: str, **parameters: object) -> Program:
        """Starts the node, and waits for its services."""
        node = self.launch_node(*ros_arguments, **parameters)
        for name in SERVICES:
            self.wait_for(self.client(name).service_is_ready, f"~/{name}", node)
        return node

    def start_camera(self, *options: str, name: str = "", size: str = "320x240") -> Program:
        """Starts the package's camera; with a name, as one of several."""
        remaps = ["-r", f"camera/image_raw:={name}/image_raw", "-r", f"__node:={name}_camera"] if name else []
        sides = ["--size", size] if size else []
        return self.start("photo_camera", *sides, *options, *IN_NAMESPACE, *remaps)

    def run(self, *command: str, timeout: float = TRAINING_TIMEOUT, **env: str) -> dict[str, Any]:
        """Runs a command to its end and returns the JSON that it prints."""
        program = self.start(*command, **env)
        status = program.wait(timeout)
        assert status == 0, f"{' '.join(command)}: {program.output()}"
        return json.loads(program.output())

    def wait_for(
        self, is_met: Callable[[], Any], what: str, *programs: Program, timeout: float = TIMEOUT
    ) -> None:
        """Spins until the condition is met; fails after the timeout, or if one of the programs ends."""
        deadline = time.monotonic() + timeout
        while not is_met():
            assert time.monotonic() < deadline, f"not within {timeout} s: {what}"
            for program in programs:
                assert program.is_running(), f"{program.name} has ended:\n{program.output()}"
            self.executor.spin_once(timeout_sec=0.02)

    def spin_for(self, seconds: float) -> None:
        """Spins for a time, in which something must not happen."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self.executor.spin_once(timeout_sec=left)

    def listen(self, message: type, topic: str, qos: QoSProfile = EVERY_MESSAGE) -> list[Any]:
        """Subscribes and returns the list to which messages are appended while the world spins."""
        messages: list[Any] = []
        self.peer.create_subscription(message, topic, messages.append, qos)
        return messages

    def gestures(self, camera: str = "") -> list[ThumbGesture]:
        """Subscribes to the gestures of the only camera, or of one of several, whose name may be absolute."""
        return self.listen(ThumbGesture, str(PurePosixPath(NAMESPACE, camera, "thumb_gesture")))

    def set_cameras(self, *cameras: str) -> str:
        """Sets the parameter cameras; returns why not, or an empty string."""
        result = self.call("set_parameters", SetParameters, parameters=[cameras_parameter(*cameras)]).results[0]
        assert result.successful == (not result.reason)
        return result.reason

    def trainings(self) -> list[TrainingStatus]:
        """Subscribes to ~/training; returns the list of statuses from now on."""
        statuses = self.listen(TrainingStatus, f"{NODE}/training", TRANSIENT_LOCAL)
        self.wait_for(lambda: statuses, "a message on ~/training")
        statuses.clear()
        return statuses

    def client(self, name: str, kind: type | None = None) -> Any:
        """The client of a service of the node."""
        if name not in self.clients:
            self.clients[name] = self.peer.create_client(kind or SERVICES[name], f"{NODE}/{name}")
        return self.clients[name]

    def send(self, name: str, kind: type | None = None, **fields: object) -> Any:
        """Calls a service of the node and returns the future."""
        client = self.client(name, kind)
        self.wait_for(client.service_is_ready, f"~/{name}")
        return client.call_async((kind or SERVICES[name]).Request(**fields))

    def call(self, name: str, kind: type | None = None, timeout: float = TIMEOUT, **fields: object) -> Any:
        """Calls a service of the node and returns the response."""
        answer = self.send(name, kind, **fields)
        self.wait_for(answer.done, f"a response of ~/{name}", timeout=timeout)
        return answer.result()

    def ask(self, client: Any, request: Any, what: str, *programs: Program) -> Any:
        """Sends a request that changes nothing until there is a response, and returns it.

        Fast DDS drops a response if the server has not discovered the client 100 ms after the request.
        """
        answers: list[Any] = []
        self.publish_until(
            lambda: any(answer.done() for answer in answers),
            what,
            lambda: answers.append(client.call_async(request)),
            2.0,
            *programs,
        )
        return next(answer.result() for answer in answers if answer.done())

    def model(self) -> ModelInfo:
        """The latest message on ~/model."""
        models = self.listen(ModelInfo, f"{NODE}/model", TRANSIENT_LOCAL)
        self.wait_for(lambda: models, "a message on ~/model")
        return models[-1]

    def diagnostics(self, camera: str = "") -> Diagnostics:
        """Subscribes to /diagnostics, for the status of the only camera, or of one of several."""
        return Diagnostics(self.listen(DiagnosticArray, "/diagnostics"), camera)

    def show(self, what: str, frames: list[Image]) -> None:
        """Makes the camera show `what` and waits until it is shown; clears `frames`, to which received images are appended."""
        publisher = self.peer.create_publisher(String, f"{NAMESPACE}/photo_camera/show", 10)
        self.wait_for(lambda: publisher.get_subscription_count() > 0, "the camera subscribes to ~/show")
        publisher.publish(String(data=what))
        label = what.rpartition(":")[2]
        frames.clear()
        if label == "all":
            self.wait_for(lambda: len({frame.header.frame_id for frame in frames}) > 1, f"{what} is shown")
        else:
            self.wait_for(
                lambda: frames and frames[-1].header.frame_id == f"camera_{label}", f"{what} is shown"
            )

    def capture(self, label: str, frames: int) -> CaptureFrames.Response:
        """Captures frames and asserts that it succeeds."""
        answer = self.call("capture", label=label, frames=frames)
        assert answer.success, answer.message
        return answer

    def train(self, **fields: object) -> TrainingStatus:
        """Retrains, waits for the end of the training and returns the last status."""
        statuses = self.trainings()
        answer = self.call("retrain", **fields)
        assert answer.success, answer.message

        def is_over() -> bool:
            return bool(statuses) and statuses[-1].state != TrainingStatus.RUNNING

        self.wait_for(is_over, "the end of the training", timeout=TRAINING_TIMEOUT)
        return statuses[-1]

    def camera_publisher(self, kind: type = Image, reliable: bool = False) -> Any:
        """A publisher of images to which the node has subscribed."""
        topic = CAMERA if kind is Image else f"{CAMERA}/compressed"
        publisher = self.peer.create_publisher(kind, topic, QoSProfile(depth=5) if reliable else BEST_EFFORT)
        self.wait_for(lambda: publisher.get_subscription_count() > 0, f"the node subscribes to {topic}")
        return publisher

    def publish_until(
        self, is_met: Callable[[], Any], what: str, publish: Callable[[], None], period: float, *programs: Program
    ) -> None:
        """Publishes now and after each period, in seconds, until the condition is met."""
        last = 0.0

        def is_met_now() -> bool:
            nonlocal last
            if is_met():
                return True
            if time.monotonic() - last > period:
                last = time.monotonic()
                publish()
            return False

        self.wait_for(is_met_now, what, *programs)

    def gesture_of(
        self, publisher: Any, image: Image | CompressedImage, gestures: list[ThumbGesture], is_live: bool = True
    ) -> ThumbGesture:
        """Publishes an image repeatedly until the node publishes a gesture for it; returns that gesture.

        With `is_live`, its first pixel changes each time, as in a camera's images.
        """
        sent: set[tuple[int, int, str]] = set()
        found: list[ThumbGesture] = []

        def has_gesture() -> bool:
            found.extend(gesture for gesture in gestures if key_of(gesture.header) in sent)
            gestures.clear()
            return bool(found)

        def publish() -> None:
            if is_live:
                image.data[0] = (image.data[0] + 1) % 256
            image.header.stamp = self.peer.get_clock().now().to_msg()
            sent.add(key_of(image.header))
            publisher.publish(image)

        self.publish_until(has_gesture, f"a gesture for {describe(image)}", publish, 0.1)
        return found[0]


def cameras_parameter(*cameras: str) -> Parameter:
    """The parameter cameras as `ros2 param set` sends it: an empty list is one of booleans."""
    kind = ParameterType.PARAMETER_STRING_ARRAY if cameras else ParameterType.PARAMETER_BOOL_ARRAY
    return Parameter(name="cameras", value=ParameterValue(type=kind, string_array_value=list(cameras)))


class Diagnostics:
    """The latest status of a camera on /diagnostics."""

    def __init__(self, arrays: list[DiagnosticArray], camera: str) -> None:
        self.arrays = arrays
        self.name = f"{NODE.strip('/')}: gesture {camera}".strip()

    def status(self) -> Any:
        """The latest status, or None before the first."""
        statuses = [status for array in self.arrays[-1:] for status in array.status]
        return next((status for status in statuses if status.name == self.name), None)

    def value(self, key: str) -> str:
        """A value of the latest status, empty before the first."""
        status = self.status()
        return next((pair.value for pair in status.values if pair.key == key), "") if status else ""

    def count(self, key: str) -> int:
        """A count in the latest status, 0 before the first."""
        return int(self.value(key) or 0)

    def level(self) -> int | None:
        """The latest level, or None before the first."""
        status = self.status()
        return None if status is None else int.from_bytes(status.level, "little")


SERVICES: dict[str, Any] = {
    "capture": CaptureFrames,
    "retrain": Retrain,
    "cancel_training": Trigger,
    "activate_model": ActivateModel,
    "list_models": ListModels,
    "delete_model": DeleteModel,
    "get_report": GetReport,
    "get_results": GetResults,
    "compare_models": CompareModels,
    "record": Record,
    "list_frames": ListFrames,
    "add_frame": AddFrame,
    "get_frame": GetFrame,
    "delete_frames": DeleteFrames,
    "relabel_frames": RelabelFrames,
    "delete_last_burst": Trigger,
    "undo_edit": Trigger,
    "redo_edit": Trigger,
    "clear_trash": Trigger,
}


def is_alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def key_of(header: Any) -> tuple[int, int, str]:
    """Stamp and frame_id, which identify a frame."""
    return header.stamp.sec, header.stamp.nanosec, header.frame_id


def truth_of(message: Any) -> str:
    """The label that the package's camera has shown, from the frame_id."""
    return message.header.frame_id.removeprefix("camera_")


def nanoseconds_of(stamp: Time) -> int:
    """A stamp in nanoseconds."""
    return stamp.sec * 1_000_000_000 + stamp.nanosec
