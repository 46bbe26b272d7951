#!/usr/bin/env python3
"""Teaches the node three gestures and shows how well it learnt them, without a robot: `make demo`."""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

NAMESPACE = "/jetbot"
CAMERA = f"{NAMESPACE}/camera/image_raw"
SHOW = f"{NAMESPACE}/photo_camera/show"
GESTURES = f"{NAMESPACE}/thumb_gesture"
NODE = f"{NAMESPACE}/thumb_gesture"

DRAWN_LABELS = ["none", "thumbs_down", "thumbs_up"]
PICTURES = {".jpg", ".jpeg", ".png"}
MOST_FRAMES = 60  # captured of each label
BLOCK = 6  # photos of a take that belong together
LEAST_ACCURACY = 0.9

START_TIMEOUT = 20.0
TRAINING_TIMEOUT = 300.0
INTERRUPTED = 130  # exit status, as a shell gives it

HELP = """\
Starts a camera that shows hands and the gesture node, then does what a robot's owner does:
  capture  a few dozen frames of each gesture, with the service ~/capture
  train    on them, with the service ~/retrain, until the new model classifies by itself
  watch    the gestures on the topic thumb_gesture, on pictures that were not captured,
           and count how many of them are right
It takes about a minute. All it makes lies in a folder that it removes at the end."""

EXAMPLES = """\
examples:
  make demo                                 hands that the camera draws
  PHOTOS=path/to/photos make demo           photos: a folder with a folder for each label
  python3 scripts/demo.py --keep my_demo    keep the frames, the model and the programs' logs

Of photos, it is taught the blocks 1, 3, 5, ... of six consecutive ones of each take, and tested on the
others; a take is the photos whose names are the same before the last "_".

The exit status is 0 when at least 90 % of the gestures were right.

To look on from another shell: export the ROS_DOMAIN_ID that it prints and
ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST, then: ros2 topic echo /jetbot/thumb_gesture"""


class DemoError(Exception):
    """Why the demo cannot go on, in words for a person."""


@dataclass
class Settings:
    """What the demo was asked for."""

    folder: Path
    photos: Path | None
    frames: dict[str, int]  # to capture, by label
    watch_secs: float


def main() -> int:
    """Runs the demo; gives the exit status."""
    arguments = parse_arguments()
    sys.stdout.reconfigure(errors="replace")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    screen = Screen()
    try:
        photos = Path(arguments.photos).resolve() if arguments.photos else None
        frames = photo_counts(photos) if photos else dict.fromkeys(DRAWN_LABELS, MOST_FRAMES)
        with work_folder(arguments.keep) as folder, ros_domain() as domain:
            screen.title(photos, domain)
            return run(Settings(folder, photos, frames, arguments.watch), screen)
    except DemoError as error:
        screen.end_line()
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        screen.end_line()
        print("\nStopped.")
        return INTERRUPTED


def parse_arguments() -> argparse.Namespace:
    """Reads the command line and the two environment variables that stand in for it."""
    parser = argparse.ArgumentParser(
        description=HELP, epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--photos",
        metavar="DIR",
        default=os.environ.get("PHOTOS"),
        help="show these photos instead of drawn hands [default: $PHOTOS]",
    )
    parser.add_argument(
        "--keep",
        metavar="DIR",
        default=os.environ.get("DEMO_DIR"),
        help="put everything into this new folder and leave it there [default: $DEMO_DIR]",
    )
    parser.add_argument(
        "--watch",
        metavar="SECONDS",
        type=positive_seconds,
        default=15.0,
        help="how long to watch the gestures [default: 15]",
    )
    return parser.parse_args()


def positive_seconds(text: str) -> float:
    """A span of time as the command line gives it."""
    seconds = float(text)
    if not 0.0 < seconds <= 3600.0:
        raise argparse.ArgumentTypeError("must be more than 0 and at most 3600")
    return seconds


def photo_counts(folder: Path) -> dict[str, int]:
    """How many photos there are to be taught, by label; at most MOST_FRAMES of each."""
    if not folder.is_dir():
        raise DemoError(f"there is no folder {folder}; --photos wants a folder with a folder for each label")
    counts = {}
    for label in sorted(path for path in folder.iterdir() if path.is_dir() and path.name[0] != "."):
        photos = (path for path in label.iterdir() if path.suffix.lower() in PICTURES)
        count = taught_photos(path.stem for path in photos)
        if count > 0:
            counts[label.name] = min(count, MOST_FRAMES)
    if len(counts) < 2:
        raise DemoError(f"{folder} has photos of {len(counts)} label(s); it takes folders of two or more")
    return counts


def taught_photos(names: Iterator[str]) -> int:
    """How many photos of these names lie in the blocks 1, 3, 5, ... of their takes."""
    takes: dict[str, int] = {}
    for name in names:
        take = name.rpartition("_")[0]
        takes[take] = takes.get(take, 0) + 1
    return sum(1 for size in takes.values() for index in range(size) if index // BLOCK % 2 == 0)


@contextmanager
def work_folder(keep: str | None) -> Iterator[Path]:
    """A fresh folder, removed at the end unless it is one to keep."""
    if not keep:
        with tempfile.TemporaryDirectory(prefix="thumb_gesture_demo_") as folder:
            yield Path(folder)
        return
    folder = Path(keep).resolve()
    for name in ("dataset", "store"):
        if (folder / name).exists():
            raise DemoError(f"{folder} holds a {name} already; --keep (or DEMO_DIR) wants a new folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DemoError(f"cannot make the folder {folder}: {error.strerror}") from None
    yield folder


@contextmanager
def ros_domain() -> Iterator[int]:
    """The user's ROS domain, or one that nobody uses, set for this process and its children."""
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    given = os.environ.get("ROS_DOMAIN_ID")
    if given:
        yield int(given)
        return
    with free_domain() as domain:
        os.environ["ROS_DOMAIN_ID"] = str(domain)
        yield domain


@contextmanager
def free_domain() -> Iterator[int]:
    """A ROS domain that nobody on this machine uses, held until the end."""
    # The ports of the domains 1 to 99 lie below those that Linux hands out by itself.
    for domain in random.sample(range(1, 100), 99):
        base = 7400 + 250 * domain
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as mark:
            try:
                # DDS has no use for the TCP port: it marks the domain as taken for others that choose in this way.
                mark.bind(("127.0.0.1", base))
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as first_participant:
                    first_participant.bind(("", base + 10))
            except OSError:
                continue
            yield domain
            return
    raise DemoError("every ROS domain from 1 to 99 is in use; set ROS_DOMAIN_ID to the one to share")


def run(settings: Settings, screen: Screen) -> int:
    """The demo itself, once there is a folder and a domain."""
    try:
        robot = Robot(settings)
    except ImportError as error:
        raise DemoError(f"{error}; run it as `make demo`, or source scripts/env.sh first") from None
    try:
        robot.start()
        screen.heading("Capture", "the camera shows one label after the other; ~/capture saves its frames")
        for label, count in settings.frames.items():
            robot.capture(label, count, screen)
        screen.heading("Train", "~/retrain starts it, ~/training tells how it goes; the new model goes live by itself")
        training = robot.train(screen)
        screen.heading("Watch", "pictures that were not captured, in random order, and what the node makes of them")
        score = robot.watch(settings.watch_secs, screen)
    finally:
        robot.stop()
    return summarise(score, training, settings, screen)


class Screen:
    """The terminal, or a file or pipe in its place: there every line is printed once and nothing moves."""

    PLAIN_PERIOD = 0.5
    BAR_WIDTH = 24

    def __init__(self) -> None:
        self.is_terminal = sys.stdout.isatty()
        self.is_line_open = False
        self.last_plain = 0.0

    def title(self, photos: Path | None, domain: int) -> None:
        """Says what this is."""
        shown = f"photos from {photos}" if photos else "hands that it draws, each a new one"
        print(self.bold("Thumb gestures: teach them, then watch them"))
        print(f"  camera         {shown}")
        print(f"  ROS_DOMAIN_ID  {domain}", flush=True)

    def heading(self, name: str, explanation: str) -> None:
        """Begins a part."""
        print(f"\n{self.bold(name)}  {explanation}", flush=True)

    def bold(self, text: str) -> str:
        """The text in bold where that can be shown."""
        return f"\033[1m{text}\033[0m" if self.is_terminal and "NO_COLOR" not in os.environ else text

    def bar(self, share: float) -> str:
        """A bar that is filled to that share."""
        filled = round(self.BAR_WIDTH * min(max(share, 0.0), 1.0))
        return f"[{'#' * filled}{'.' * (self.BAR_WIDTH - filled)}]"

    def moving(self, text: str) -> None:
        """Shows a line in the place of the moving line before it; says nothing where nothing can move."""
        if self.is_terminal:
            width = shutil.get_terminal_size().columns - 1
            print(f"\r\033[K  {text}"[: width + 4], end="", flush=True)
            self.is_line_open = True

    def passing(self, text: str) -> None:
        """As `moving`, but where nothing can move it prints a line twice a second."""
        if self.is_terminal:
            self.moving(text)
        elif time.monotonic() - self.last_plain >= self.PLAIN_PERIOD:
            self.last_plain = time.monotonic()
            print(f"  {text}", flush=True)

    def settled(self, text: str) -> None:
        """Puts the last word in the place of the moving line."""
        print(f"\r\033[K  {text}" if self.is_line_open else f"  {text}", flush=True)
        self.is_line_open = False

    def end_line(self) -> None:
        """Leaves the moving line as it is and goes on below it."""
        if self.is_line_open:
            print()
        self.is_line_open = False


@dataclass
class Score:
    """What the gestures came to."""

    right: int = 0
    unsure: int = 0
    ages_ms: list[float] = field(default_factory=list)
    last: Any = None

    @property
    def count(self) -> int:
        """Gestures judged."""
        return len(self.ages_ms)

    @property
    def accuracy(self) -> float:
        """Share of the gestures that were right; a gesture that is unsure is not."""
        return self.right / max(self.count, 1)


class Program:
    """A program of the package as a process of its own, which writes into a log file."""

    def __init__(self, folder: Path, name: str, *arguments: str) -> None:
        path = shutil.which(name)
        if path is None:
            raise DemoError(f"there is no program {name} on the PATH; run it as `make demo`, which builds it first")
        self.name = name
        self.log = folder / f"{name}.log"
        with self.log.open("wb") as log:
            # In a session of its own: a Ctrl-C is for the demo, which then ends the programs in good order.
            self.process = subprocess.Popen(
                [path, *arguments], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )

    def check(self) -> None:
        """Complains where the program has ended."""
        status = self.process.poll()
        if status is not None:
            words = self.log.read_text(errors="replace").strip().splitlines()[-5:]
            raise DemoError("\n  ".join([f"{self.name} has ended with status {status}; its last words:", *words]))

    def stop(self) -> None:
        """Ends the program, by force where it does not end by itself."""
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.wait(5.0)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


class Robot:
    """The camera, the node, and our side of their topics and services."""

    def __init__(self, settings: Settings) -> None:
        import rclpy
        from rclpy.qos import QoSDurabilityPolicy, QoSProfile
        from rclpy.signals import SignalHandlerOptions
        from sensor_msgs.msg import Image
        from std_msgs.msg import String
        from std_srvs.srv import Trigger
        from thumb_gesture.msg import ModelInfo, ThumbGesture, TrainingStatus
        from thumb_gesture.srv import CaptureFrames, Retrain

        self.settings = settings
        self.programs: list[Program] = []
        self.rclpy = rclpy
        self.messages = {"show": String, "capture": CaptureFrames.Request, "retrain": Retrain.Request}
        self.running = TrainingStatus.RUNNING
        self.succeeded = TrainingStatus.SUCCEEDED
        self.unknown = ThumbGesture.UNKNOWN
        os.environ.setdefault("ROS_LOG_DIR", str(settings.folder / "log"))
        # Ctrl-C is ours: rclpy would shut its side down before the programs are.
        rclpy.init(signal_handler_options=SignalHandlerOptions.NO)
        self.node = rclpy.create_node("demo", namespace=NAMESPACE)
        newest = QoSProfile(depth=1)
        latched = QoSProfile(depth=1, durability=QoSDurabilityPolicy.TRANSIENT_LOCAL)
        self.frame_id = ""
        self.model: Any = None
        self.training: Any = None
        self.gestures: list[Any] = []
        self.node.create_subscription(ModelInfo, f"{NODE}/model", lambda model: setattr(self, "model", model), latched)
        self.node.create_subscription(
            TrainingStatus, f"{NODE}/training", lambda status: setattr(self, "training", status), latched
        )
        self.node.create_subscription(ThumbGesture, GESTURES, self.gestures.append, 100)
        self.camera = self.node.create_subscription(
            Image, CAMERA, lambda image: setattr(self, "frame_id", image.header.frame_id), newest
        )
        self.shower = self.node.create_publisher(String, SHOW, 10)
        self.services = {
            "capture": self.node.create_client(CaptureFrames, f"{NODE}/capture"),
            "retrain": self.node.create_client(Retrain, f"{NODE}/retrain"),
            "cancel": self.node.create_client(Trigger, f"{NODE}/cancel_training"),
        }

    def start(self) -> None:
        """Starts both programs and waits until they are there."""
        folder = self.settings.folder
        source = ["--photos", str(self.settings.photos)] if self.settings.photos else ["--size", "320x240"]
        in_namespace = ["--ros-args", "-r", f"__ns:={NAMESPACE}"]
        first = next(iter(self.settings.frames))
        self.programs = [
            Program(folder, "photo_camera", *source, "--show", f"odd:{first}", *in_namespace),
            # Smoothing is for a hand that stays; here each frame shows another one. And large photos arrive only where
            # they are asked for reliably.
            Program(
                folder, "thumb_gesture_node", *in_namespace, "-p", "smoothing:=0.0", "-p", "image_reliability:=reliable",
                "-p", f"dataset:={folder / 'dataset'}", "-p", f"store:={folder / 'store'}",
            ),
        ]  # fmt: skip
        for service in self.services.values():
            self.wait_until(service.service_is_ready, START_TIMEOUT, "the node's services did not appear")
        self.wait_until(lambda: self.frame_id, START_TIMEOUT, f"no frame came on {CAMERA}")

    def stop(self) -> None:
        """Ends the programs, the last started first, and our own side."""
        for program in reversed(self.programs):
            program.stop()
        self.node.destroy_node()
        self.rclpy.shutdown()

    def wait_until(
        self,
        is_met: Callable[[], Any],
        timeout: float,
        complaint: str,
        meanwhile: Callable[[], None] = lambda: None,
    ) -> None:
        """Spins until the condition is met; complains after the timeout, or where a program has ended."""
        deadline = time.monotonic() + timeout
        while not is_met():
            if time.monotonic() > deadline:
                raise DemoError(f"{complaint} within {timeout:.0f} s")
            self.rclpy.spin_once(self.node, timeout_sec=0.05)
            for program in self.programs:
                program.check()
            meanwhile()

    def call(
        self, name: str, timeout: float, meanwhile: Callable[[], None] = lambda: None, **fields: Any
    ) -> None:
        """Calls a service; complains where it refuses."""
        answer = self.services[name].call_async(self.messages[name](**fields))
        self.wait_until(answer.done, timeout, f"~/{name} did not answer", meanwhile)
        if not answer.result().success:
            raise DemoError(f"~/{name} refused: {answer.result().message}")

    def show(self, what: str, is_shown: Callable[[], Any]) -> None:
        """Asks the camera to show something else, again until it does."""
        self.frame_id = ""
        last = 0.0

        def ask() -> None:
            nonlocal last
            if time.monotonic() - last >= 0.5:
                last = time.monotonic()
                self.shower.publish(self.messages["show"](data=what))

        self.wait_until(is_shown, START_TIMEOUT, f"the camera did not show {what}", ask)

    def capture(self, label: str, count: int, screen: Screen) -> None:
        """Captures frames of one label."""
        self.show(f"odd:{label}", lambda: self.frame_id == f"camera_{label}")
        folder = self.settings.folder / "dataset" / label
        width = max(len(name) for name in self.settings.frames)
        start = time.monotonic()

        def line() -> str:
            saved = len(list(folder.glob("*.jpg")))
            return f"{label:<{width}}  {screen.bar(saved / count)}  {saved:>3} of {count} frames"

        self.call("capture", 60.0, lambda: screen.moving(line()), label=label, frames=count)
        screen.settled(f"{line()}  {time.monotonic() - start:4.1f} s")

    def train(self, screen: Screen) -> Any:
        """Trains until the new model classifies; gives the last word on it."""
        self.training = None
        self.call("retrain", 10.0)

        def is_over() -> bool:
            return self.training is not None and self.training.state != self.running and bool(self.training.message)

        def line() -> str:
            status = self.training
            if status is None:
                return screen.bar(0.0)
            epochs = f"epoch {status.epoch}/{status.epochs}" if status.epochs else "looking at the frames"
            return f"{screen.bar(status.progress)}  {100 * status.progress:3.0f} %  {epochs}  {status.stage}"

        self.wait_until(is_over, TRAINING_TIMEOUT, "the training did not end", lambda: screen.moving(line()))
        status = self.training
        if status.state != self.succeeded:
            raise DemoError(f"the training failed: {status.message}")
        screen.settled(
            f"{screen.bar(1.0)}  {status.epochs} epochs in {seconds_of(status.elapsed):.1f} s, "
            f"{percent(status.accuracy)} right on frames held out"
        )
        self.wait_until(
            lambda: self.model is not None and self.model.model_id == status.model_id,
            START_TIMEOUT,
            "the new model did not go live",
        )
        return status

    def watch(self, watch_secs: float, screen: Screen) -> Score:
        """Compares gestures with what the camera really showed."""
        last_taught = self.frame_id
        self.show("even:all", lambda: self.frame_id not in ("", last_taught))
        # The camera's stamps tell which gestures are of frames that it showed after the change.
        since = self.node.get_clock().now().nanoseconds
        self.node.destroy_subscription(self.camera)
        width = max(len(name) for name in self.settings.frames)
        score = Score()

        def judge() -> None:
            for gesture in self.gestures:
                stamp = gesture.header.stamp.sec * 1_000_000_000 + gesture.header.stamp.nanosec
                if stamp > since and gesture.reason != "stale":
                    screen.passing(self.judged(gesture, score, width))
            self.gestures.clear()

        end = time.monotonic() + watch_secs
        self.wait_until(lambda: time.monotonic() >= end, watch_secs + START_TIMEOUT, "", judge)
        screen.end_line()
        if score.count == 0:
            raise DemoError(f"no gesture came on {GESTURES}")
        return score

    def judged(self, gesture: Any, score: Score, width: int) -> str:
        """Counts a gesture; gives the line that shows it."""
        truth = gesture.header.frame_id.removeprefix("camera_")
        is_unsure = gesture.gesture == self.unknown
        is_right = gesture.label == truth and not is_unsure
        age_ms = 1000 * seconds_of(gesture.age)
        score.right += is_right
        score.unsure += is_unsure
        score.ages_ms.append(age_ms)
        score.last = gesture
        seen = f"unsure ({gesture.reason})" if is_unsure else gesture.label
        return (
            f"shown {truth:<{width}}  seen {seen:<{width + 2}}  {100 * gesture.confidence:3.0f} %  {age_ms:4.0f} ms  "
            f"{'right' if is_right else 'WRONG'}  {percent(score.accuracy)} of {score.count}"
        )


def summarise(score: Score, training: Any, settings: Settings, screen: Screen) -> int:
    """Prints what came of it; gives the exit status."""
    taught = sum(settings.frames.values())
    screen.heading("Result", "on pictures that the node had not been taught")
    print(f"  gestures  {percent(score.accuracy)} right: {score.right} of {score.count}, {score.unsure} unsure")
    print(f"  latency   {statistics.median(score.ages_ms):.0f} ms from the frame's stamp to its gesture, median")
    print(f"  backend   {score.last.backend}")
    print(f"  model     {score.last.model_id}")
    print(f"  training  {seconds_of(training.elapsed):.1f} s on {taught} frames")
    print(f"  held out  {percent(training.accuracy)} right on those of them that it was not trained on")
    if settings.folder.exists() and os.environ.get("DEMO_DIR"):
        print(f"  kept in   {settings.folder}")
    if score.accuracy < LEAST_ACCURACY:
        raise DemoError(f"only {percent(score.accuracy)} of the gestures were right; {percent(LEAST_ACCURACY)} is the least")
    return 0


def seconds_of(duration: Any) -> float:
    """A duration message in seconds."""
    return duration.sec + duration.nanosec * 1e-9


def percent(share: float) -> str:
    """A share as a person reads it; NaN is what nobody measured."""
    return f"{share:.1%}".replace("%", " %") if share == share else "not measured"


if __name__ == "__main__":
    sys.exit(main())
