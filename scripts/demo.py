#!/usr/bin/env python3
"""Captures, trains and classifies gestures without a robot: `make demo`."""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from demo_screen import DemoError, Screen, bar, percent
from program import ProgramError
from ros_domain import free_domain

if TYPE_CHECKING:
    from thumb_gesture.msg import ThumbGesture, TrainingStatus

    from demo_robot import Robot

DRAWN_LABELS = ["none", "thumbs_down", "thumbs_up"]
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png"}
MAX_FRAMES = 100  # captured per label
BLOCK = 6  # consecutive photos of a burst that are captured, or not, together
MIN_ACCURACY = 0.9
INTERRUPTED = 130  # exit status of shells after Ctrl-C

HELP = """\
Starts a camera that shows hands, and the gesture node. Then it does what a user does:
  capture  up to 100 frames of each gesture, with the service ~/capture
  train    a model on them, with the service ~/retrain, which the node then uses
  watch    the gestures on the topic thumb_gesture, for images that were not captured,
           and count the correct ones
Takes about a minute. All files are in a temporary directory, which is removed at the end."""

EXAMPLES = """\
examples:
  make demo                                 drawn hands
  PHOTOS=path/to/photos make demo           photos: a directory with one subdirectory per label
  python3 scripts/demo.py --keep my_demo    keep the frames, the model and the logs

Photos are divided into blocks of six consecutive ones of a burst. The blocks 1, 3, 5, ... are
captured, the others are classified. The photos of a burst have the same name before the last "_".

The exit status is 0 if at least 90 % of the gestures were correct.

To watch the topics from another shell, export the printed ROS_DOMAIN_ID and
ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST, then: ros2 topic echo /jetbot/thumb_gesture"""


def main() -> int:
    """Runs the demo; returns the exit status."""
    arguments = parse_arguments()
    sys.stdout.reconfigure(errors="replace")
    # SIGINT as well: shells start background processes with SIGINT ignored.
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.default_int_handler)
    screen = Screen()
    try:
        photos = Path(arguments.photos).resolve() if arguments.photos else None
        frames = photo_counts(photos) if photos else dict.fromkeys(DRAWN_LABELS, MAX_FRAMES)
        with work_directory(arguments.keep) as directory, ros_domain() as domain:
            print("Thumb gestures: capture, train, watch")
            screen.line(f"camera         {f'photos from {photos}' if photos else 'drawn hands'}")
            screen.line(f"ROS_DOMAIN_ID  {domain}")
            if arguments.keep:
                screen.line(f"directory      {directory}")
            return run(directory, photos, frames, arguments.watch, screen)
    except (DemoError, ProgramError) as error:
        screen.end_line()
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        screen.end_line()
        print("\nStopped.")
        return INTERRUPTED


def parse_arguments() -> argparse.Namespace:
    """Parses the command line; environment variables give the defaults."""
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
        help="use this directory and keep it [default: $DEMO_DIR, else a temporary directory]",
    )
    parser.add_argument(
        "--watch",
        metavar="SECONDS",
        type=watch_seconds,
        default=15.0,
        help="how long to watch the gestures [default: 15]",
    )
    return parser.parse_args()


def watch_seconds(text: str) -> float:
    """Parses the duration of watching in seconds."""
    seconds = float(text)
    if not 1.0 <= seconds <= 3600.0:
        raise argparse.ArgumentTypeError("must be 1 to 3600")
    return seconds


def photo_counts(directory: Path) -> dict[str, int]:
    """Number of photos to capture per label."""
    if not directory.is_dir():
        raise DemoError(f"{directory} is not a directory; photos must be in a directory with one subdirectory per label")
    counts = {}
    for label in sorted(path for path in directory.iterdir() if path.is_dir() and path.name[0] != "."):
        photos = [path.stem for path in label.iterdir() if path.suffix.lower() in IMAGE_SUFFIXES]
        if photos:
            counts[label.name] = min(count_in_odd_blocks(photos), MAX_FRAMES)
    if len(counts) < 2:
        raise DemoError(f"{directory} has photos of {len(counts)} label(s), must have at least 2")
    return counts


def count_in_odd_blocks(names: list[str]) -> int:
    """Number of these photos that are in the blocks 1, 3, 5, ... of their bursts."""
    bursts: dict[str, int] = {}
    for name in names:
        burst = name.rpartition("_")[0]
        bursts[burst] = bursts.get(burst, 0) + 1
    return sum(1 for size in bursts.values() for index in range(size) if index // BLOCK % 2 == 0)


@contextmanager
def work_directory(keep: str | None) -> Iterator[Path]:
    """Yields a temporary directory, or the one to keep."""
    if not keep:
        with tempfile.TemporaryDirectory(prefix="thumb_gesture_demo_") as directory:
            yield Path(directory)
        return
    directory = Path(keep).resolve()
    for name in ("dataset", "store"):
        if (directory / name).exists():
            raise DemoError(f"{directory} already contains a {name}; give a new directory")
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DemoError(f"cannot create the directory {directory}: {error.strerror}") from None
    yield directory


@contextmanager
def ros_domain() -> Iterator[str]:
    """Sets ROS_DOMAIN_ID to an unused domain, unless it is set; yields the domain."""
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    if os.environ.get("ROS_DOMAIN_ID"):
        yield os.environ["ROS_DOMAIN_ID"]
        return
    try:
        with free_domain() as domain:
            os.environ["ROS_DOMAIN_ID"] = str(domain)
            yield str(domain)
    except OSError as error:
        raise DemoError(f"{error}; set ROS_DOMAIN_ID to the domain to use") from None


def run(directory: Path, photos: Path | None, frames: dict[str, int], watch_secs: float, screen: Screen) -> int:
    """Runs the demo in a directory and the current ROS domain; returns the exit status."""
    os.environ.setdefault("ROS_LOG_DIR", str(directory / "log"))
    try:
        from demo_robot import Robot
    except ImportError as error:
        raise DemoError(f"{error}; run `make demo`, or source scripts/env.sh first") from None
    with Robot(directory, photos, next(iter(frames))) as robot:
        screen.heading("Capture", "the camera shows a label, ~/capture saves frames of it")
        capture(robot, frames, screen)
        screen.heading("Train", "~/retrain trains a model, which the node then uses")
        training = train(robot, screen)
        screen.heading("Watch", "images that were not captured, in random order")
        score = watch(robot, watch_secs, max(map(len, frames)), screen)
    return summarize(score, training, screen)


def capture(robot: Robot, frames: dict[str, int], screen: Screen) -> None:
    """Captures frames of all labels."""
    width = max(map(len, frames))
    for label, count in frames.items():
        start = time.monotonic()

        def line(label: str = label, count: int = count) -> str:
            saved = robot.captured(label)
            return f"{label:<{width}}  {bar(saved / count)}  {saved:>3} of {count} frames"

        robot.capture(label, count, lambda line=line: screen.progress_line(line()))
        screen.line(f"{line()}  {time.monotonic() - start:4.1f} s")


def train(robot: Robot, screen: Screen) -> TrainingStatus:
    """Trains and shows the progress; returns the last status."""

    def show() -> None:
        status = robot.training
        epochs = f"  epoch {status.epoch} of {status.epochs}" if status.epochs else ""
        screen.progress_line(f"{bar(status.progress)}  {100 * status.progress:3.0f} %  {status.stage}{epochs}")

    training = robot.train(show)
    screen.line(
        f"{bar(1.0)}  {training.epochs} epochs in {seconds_of(training.elapsed):.1f} s, "
        f"{percent(training.accuracy)} of the held-out frames correct"
    )
    return training


@dataclass
class Score:
    """Counts of correct and unknown gestures, and ages."""

    correct: int = 0
    unknown: int = 0
    ages_ms: list[float] = field(default_factory=list)
    last: ThumbGesture | None = None

    @property
    def count(self) -> int:
        """Number of gestures."""
        return len(self.ages_ms)

    @property
    def accuracy(self) -> float:
        """Share of correct gestures; an unknown one is not correct."""
        return self.correct / max(self.count, 1)

    def add(self, gesture: ThumbGesture) -> bool:
        """Counts a gesture; returns whether it is correct."""
        is_unknown = gesture.gesture == gesture.UNKNOWN
        is_correct = gesture.label == truth_of(gesture) and not is_unknown
        self.correct += is_correct
        self.unknown += is_unknown
        self.ages_ms.append(1000 * seconds_of(gesture.age))
        self.last = gesture
        return is_correct


def watch(robot: Robot, watch_secs: float, width: int, screen: Screen) -> Score:
    """Compares gestures with the labels that the camera shows."""
    since = robot.show_others()
    score = Score()
    end = time.monotonic() + watch_secs
    while time.monotonic() < end:
        for gesture in robot.gestures_since(since):
            is_correct = score.add(gesture)
            seen = f"unknown ({gesture.reason})" if gesture.gesture == gesture.UNKNOWN else gesture.label
            screen.sampled_line(
                f"shown {truth_of(gesture):<{width}}  seen {seen:<{max(width, 18)}}"
                f"  {100 * gesture.confidence:3.0f} %  {score.ages_ms[-1]:4.0f} ms"
                f"  {'correct' if is_correct else 'WRONG':<7}  {percent(score.accuracy):>7} of {score.count}"
            )
    screen.end_line()
    if score.count == 0:
        raise DemoError("the node published no gesture")
    return score


def summarize(score: Score, training: TrainingStatus, screen: Screen) -> int:
    """Prints the result; returns the exit status."""
    screen.heading("Result")
    screen.line(
        f"gestures   {percent(score.accuracy)} correct: {score.correct} of {score.count}, {score.unknown} unknown"
    )
    screen.line(f"latency    {statistics.median(score.ages_ms):.0f} ms from the frame to its gesture, median")
    screen.line(f"backend    {score.last.backend}")
    screen.line(f"model      {score.last.model_id}")
    screen.line(f"training   {seconds_of(training.elapsed):.1f} s")
    screen.line(f"held out   {percent(training.accuracy)} of the captured frames that were held out for validation correct")
    if score.accuracy < MIN_ACCURACY:
        raise DemoError(f"{percent(score.accuracy)} of the gestures were correct, must be at least {percent(MIN_ACCURACY)}")
    return 0


def truth_of(gesture: ThumbGesture) -> str:
    """The label that the camera has shown, from the frame_id."""
    return gesture.header.frame_id.removeprefix("camera_")


def seconds_of(duration: object) -> float:
    """A duration message in seconds."""
    return duration.sec + duration.nanosec * 1e-9


if __name__ == "__main__":
    sys.exit(main())
