#!/usr/bin/env python3
"""Teaches the node three gestures and shows how well it learnt them, without a robot: `make demo`."""

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
from ros_domain import free_domain

if TYPE_CHECKING:
    from thumb_gesture.msg import ThumbGesture, TrainingStatus

    from demo_robot import Robot

DRAWN_LABELS = ["none", "thumbs_down", "thumbs_up"]
IMAGES = {".jpg", ".jpeg", ".png"}
MOST_FRAMES = 100  # captured of each label
BLOCK = 6  # photos of a take that belong together
LEAST_ACCURACY = 0.9
INTERRUPTED = 130  # the exit status that shells give for Ctrl-C

HELP = """\
Starts a camera that shows hands, and the gesture node, then does what a robot's owner does:
  capture  a few dozen frames of each gesture, with the service ~/capture
  train    on them, with the service ~/retrain, until the new model classifies by itself
  watch    the gestures on the topic thumb_gesture, of images that were not captured,
           and count how many of them are right
It takes about a minute. All it makes lies in a directory that it removes at the end."""

EXAMPLES = """\
examples:
  make demo                                 hands that the camera draws
  PHOTOS=path/to/photos make demo           photos: a directory with a directory for each label
  python3 scripts/demo.py --keep my_demo    keep the frames, the model and the programs' logs

Of photos, the node is taught the blocks 1, 3, 5, ... of six consecutive ones of each take and
tested on the others; a take is the photos whose names are the same before the last "_".

The exit status is 0 when at least 90 % of the gestures were right.

To look on from another shell, export the ROS_DOMAIN_ID that it prints and
ROS_AUTOMATIC_DISCOVERY_RANGE=LOCALHOST, then: ros2 topic echo /jetbot/thumb_gesture"""


def main() -> int:
    """Runs the demo; gives the exit status."""
    arguments = parse_arguments()
    sys.stdout.reconfigure(errors="replace")
    # SIGINT too: a shell starts what runs in its background with that ignored.
    for ending in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(ending, signal.default_int_handler)
    screen = Screen()
    try:
        photos = Path(arguments.photos).resolve() if arguments.photos else None
        frames = photo_counts(photos) if photos else dict.fromkeys(DRAWN_LABELS, MOST_FRAMES)
        with work_directory(arguments.keep) as directory, ros_domain() as domain:
            print("Thumb gestures: teach them, then watch them")
            screen.line(f"camera         {f'photos from {photos}' if photos else 'hands that it draws'}")
            screen.line(f"ROS_DOMAIN_ID  {domain}")
            if arguments.keep:
                screen.line(f"kept in        {directory}")
            return run(directory, photos, frames, arguments.watch, screen)
    except DemoError as error:
        screen.end_line()
        print(f"\nThe demo failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        screen.end_line()
        print("\nStopped.")
        return INTERRUPTED


def parse_arguments() -> argparse.Namespace:
    """Reads the command line, and the environment variables that stand in for it."""
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
        help="put everything into this directory and leave it there [default: $DEMO_DIR]",
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
    """How long to watch, as the command line has it."""
    seconds = float(text)
    if not 1.0 <= seconds <= 3600.0:
        raise argparse.ArgumentTypeError("must be 1 to 3600")
    return seconds


def photo_counts(directory: Path) -> dict[str, int]:
    """How many photos of each label are to be captured."""
    if not directory.is_dir():
        raise DemoError(f"there is no directory {directory}; photos lie in a directory with a directory for each label")
    counts = {}
    for label in sorted(path for path in directory.iterdir() if path.is_dir() and path.name[0] != "."):
        photos = [path.stem for path in label.iterdir() if path.suffix.lower() in IMAGES]
        if photos:
            counts[label.name] = min(count_in_odd_blocks(photos), MOST_FRAMES)
    if len(counts) < 2:
        raise DemoError(f"{directory} has photos of {len(counts)} label(s); it takes two or more")
    return counts


def count_in_odd_blocks(names: list[str]) -> int:
    """How many photos of these names lie in the blocks 1, 3, 5, ... of their takes."""
    takes: dict[str, int] = {}
    for name in names:
        take = name.rpartition("_")[0]
        takes[take] = takes.get(take, 0) + 1
    return sum(1 for size in takes.values() for index in range(size) if index // BLOCK % 2 == 0)


@contextmanager
def work_directory(keep: str | None) -> Iterator[Path]:
    """A fresh directory, removed at the end unless it is one to keep."""
    if not keep:
        with tempfile.TemporaryDirectory(prefix="thumb_gesture_demo_") as directory:
            yield Path(directory)
        return
    directory = Path(keep).resolve()
    for name in ("dataset", "store"):
        if (directory / name).exists():
            raise DemoError(f"{directory} holds a {name} already; name a new directory")
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DemoError(f"cannot make the directory {directory}: {error.strerror}") from None
    yield directory


@contextmanager
def ros_domain() -> Iterator[str]:
    """The user's ROS domain, or one that nobody uses, for this process and its children."""
    os.environ.setdefault("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    if os.environ.get("ROS_DOMAIN_ID"):
        yield os.environ["ROS_DOMAIN_ID"]
        return
    try:
        with free_domain() as domain:
            os.environ["ROS_DOMAIN_ID"] = str(domain)
            yield str(domain)
    except OSError as error:
        raise DemoError(f"{error}; set ROS_DOMAIN_ID to the one to share") from None


def run(directory: Path, photos: Path | None, frames: dict[str, int], watch_secs: float, screen: Screen) -> int:
    """The demo itself, once there are a directory and a domain."""
    os.environ.setdefault("ROS_LOG_DIR", str(directory / "log"))
    try:
        from demo_robot import Robot
    except ImportError as error:
        raise DemoError(f"{error}; run it as `make demo`, or source scripts/env.sh first") from None
    with Robot(directory, photos, next(iter(frames))) as robot:
        screen.heading("Capture", "the camera shows a label, ~/capture saves frames of it")
        capture(robot, frames, screen)
        screen.heading("Train", "~/retrain starts it, and the new model goes live by itself")
        training = train(robot, screen)
        screen.heading("Watch", "images that were not captured, in random order")
        score = watch(robot, watch_secs, max(map(len, frames)), screen)
    return summarise(score, training, screen)


def capture(robot: Robot, frames: dict[str, int], screen: Screen) -> None:
    """Captures frames of all labels."""
    width = max(map(len, frames))
    for label, count in frames.items():
        start = time.monotonic()

        def line(label: str = label, count: int = count) -> str:
            saved = robot.captured(label)
            return f"{label:<{width}}  {bar(saved / count)}  {saved:>3} of {count} frames"

        robot.capture(label, count, lambda line=line: screen.moving_line(line()))
        screen.line(f"{line()}  {time.monotonic() - start:4.1f} s")


def train(robot: Robot, screen: Screen) -> TrainingStatus:
    """Trains; gives the last word on it."""

    def show() -> None:
        status = robot.training
        epochs = f"  epoch {status.epoch} of {status.epochs}" if status.epochs else ""
        screen.moving_line(f"{bar(status.progress)}  {100 * status.progress:3.0f} %  {status.stage}{epochs}")

    training = robot.train(show)
    screen.line(
        f"{bar(1.0)}  {training.epochs} epochs in {seconds_of(training.elapsed):.1f} s, "
        f"{percent(training.accuracy)} right of the frames held out"
    )
    return training


@dataclass
class Score:
    """What the gestures came to."""

    right: int = 0
    unsure: int = 0
    ages_ms: list[float] = field(default_factory=list)
    last: ThumbGesture | None = None

    @property
    def count(self) -> int:
        """Gestures classified."""
        return len(self.ages_ms)

    @property
    def accuracy(self) -> float:
        """Share of the gestures that were right; an unsure one is not."""
        return self.right / max(self.count, 1)

    def add(self, gesture: ThumbGesture) -> bool:
        """Counts a gesture; true where it was right."""
        is_unsure = gesture.gesture == gesture.UNKNOWN
        is_right = gesture.label == truth_of(gesture) and not is_unsure
        self.right += is_right
        self.unsure += is_unsure
        self.ages_ms.append(1000 * seconds_of(gesture.age))
        self.last = gesture
        return is_right


def watch(robot: Robot, watch_secs: float, width: int, screen: Screen) -> Score:
    """Compares gestures with what the camera really showed."""
    since = robot.show_others()
    score = Score()
    end = time.monotonic() + watch_secs
    while time.monotonic() < end:
        for gesture in robot.gestures_since(since):
            is_right = score.add(gesture)
            seen = f"unsure ({gesture.reason})" if gesture.gesture == gesture.UNKNOWN else gesture.label
            screen.passing_line(
                f"shown {truth_of(gesture):<{width}}  seen {seen:<{max(width, 18)}}"
                f"  {100 * gesture.confidence:3.0f} %  {score.ages_ms[-1]:4.0f} ms"
                f"  {'right' if is_right else 'WRONG'}  {percent(score.accuracy):>7} of {score.count}"
            )
    screen.end_line()
    if score.count == 0:
        raise DemoError("no gesture came")
    return score


def summarise(score: Score, training: TrainingStatus, screen: Screen) -> int:
    """Says what came of it; gives the exit status."""
    screen.heading("Result")
    screen.line(
        f"gestures   {percent(score.accuracy)} right: {score.right} of {score.count}, {score.unsure} unsure"
    )
    screen.line(f"latency    {statistics.median(score.ages_ms):.0f} ms from the frame to its gesture, median")
    screen.line(f"backend    {score.last.backend}")
    screen.line(f"model      {score.last.model_id}")
    screen.line(f"training   {seconds_of(training.elapsed):.1f} s")
    screen.line(f"held out   {percent(training.accuracy)} right of the captured frames held out to measure")
    if score.accuracy < LEAST_ACCURACY:
        raise DemoError(f"too few gestures were right; {percent(LEAST_ACCURACY)} is the least")
    return 0


def truth_of(gesture: ThumbGesture) -> str:
    """What the camera says it has shown."""
    return gesture.header.frame_id.removeprefix("camera_")


def seconds_of(duration: object) -> float:
    """A duration message in seconds."""
    return duration.sec + duration.nanosec * 1e-9


if __name__ == "__main__":
    sys.exit(main())
