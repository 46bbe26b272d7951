"""ROS time: ages, `use_sim_time` before and after the first message on /clock, time zero, jumps."""

from __future__ import annotations

from typing import Any

import numpy
import pytest
from builtin_interfaces.msg import Time
from rosgraph_msgs.msg import Clock
from thumb_gesture.msg import ThumbGesture

from harness import World, key_of
from images import raw

IMAGE = numpy.full((24, 32, 3), 128, numpy.uint8)


class Replay:
    """A publisher of /clock and frames with times that the test sets."""

    def __init__(self, world: World, **parameters: object) -> None:
        self.world = world
        self.node = world.start_node(
            use_sim_time=True, threshold=0.0, margin=0.0, detect_frozen_camera=False, **parameters
        )
        world.wait_for(lambda: world.model().active, "the model is loaded")
        self.clock = world.peer.create_publisher(Clock, "/clock", 10)
        self.camera = world.camera_publisher(reliable=True)
        self.gestures = world.gestures()
        world.wait_for(lambda: self.clock.get_subscription_count() > 0, "the node subscribes to /clock")

    def tick(self, seconds: float) -> None:
        """Publishes a time on /clock."""
        self.clock.publish(Clock(clock=stamp_of(seconds)))

    def gesture_at(self, seconds: float) -> ThumbGesture:
        """Publishes a frame with this stamp until there is a gesture for it; returns the gesture."""
        image = raw(IMAGE, "rgb8")
        image.header.stamp = stamp_of(seconds)
        found: list[ThumbGesture] = []

        def has_gesture() -> bool:
            found.extend(
                gesture
                for gesture in self.gestures
                if key_of(gesture.header) == key_of(image.header) and gesture.reason != "stale"
            )
            self.gestures.clear()
            return bool(found)

        what = f"a gesture for the frame at {seconds} s"
        self.world.publish_until(has_gesture, what, lambda: self.camera.publish(image), 0.3, self.node)
        return found[0]


def stamp_of(seconds: float) -> Time:
    """Seconds as a stamp."""
    nanoseconds = round(seconds * 1e9)
    return Time(sec=nanoseconds // 1_000_000_000, nanosec=nanoseconds % 1_000_000_000)


def age_of(gesture: ThumbGesture) -> float:
    """Age of a gesture in seconds."""
    return gesture.age.sec + gesture.age.nanosec * 1e-9


def test_age_follows_clock_and_is_that_of_the_reception_before_its_first_message(trained_world: World) -> None:
    replay = Replay(trained_world, stale_timeout=60.0)
    assert 0.0 < age_of(replay.gesture_at(1000.0)) < 1.0, "without a clock, the time since the frame was received"

    def age_after(stamp: float, now: float) -> float:
        replay.tick(now)
        return age_of(replay.gesture_at(stamp))

    trained_world.wait_for(lambda: age_after(1000.0, 1000.25) == pytest.approx(0.25), "the age by /clock")
    trained_world.wait_for(lambda: age_after(1001.0, 1001.5) == pytest.approx(0.5), "the next age")
    assert age_of(replay.gesture_at(1001.9)) == 0.0, "the age of a frame from the near future is 0"
    trained_world.wait_for(lambda: age_after(3.0, 3.25) == pytest.approx(0.25), "the age after a jump back")


def test_stable_follows_stamps_and_clock_and_restarts_after_a_jump(trained_world: World) -> None:
    replay = Replay(trained_world, hold_time=1.0, stale_timeout=10.0)

    def stable_at(*seconds: float, ticks: bool = True) -> list[bool]:
        stable = []
        for at in seconds:
            if ticks:
                replay.tick(at)
                trained_world.spin_for(0.1)  # the node has received the time before the frame
            stable.append(replay.gesture_at(at).stable)
        return stable

    assert stable_at(100.0, 100.5, 101.0) == [False, False, True]
    assert stable_at(5.0, 5.5, 6.0) == [False, False, True], "a looped bag"
    assert stable_at(50.0, 50.5, 51.0) == [False, False, True], "seeking ahead does not count as holding the gesture"
    assert stable_at(51.5, 52.0, 52.5, ticks=False) == [False, False, False], "the clock stands still"


def test_missing_clock_is_a_warning_and_nothing_is_stable(trained_world: World) -> None:
    replay = Replay(trained_world, hold_time=0.1, stale_timeout=60.0)
    assert not any([replay.gesture_at(100.0 + 0.2 * number).stable for number in range(5)])
    diagnostics = trained_world.diagnostics()
    trained_world.wait_for(lambda: "play the bag with --clock" in str(diagnostics.status()), "the warning")
    replay.tick(101.0)
    trained_world.publish_until(
        lambda: "--clock" not in str(diagnostics.status()), "no warning", lambda: replay.tick(101.1), 0.3
    )


def test_frame_without_stamp_is_classified(trained_world: World) -> None:
    replay = Replay(trained_world, hold_time=1.0)
    gesture = replay.gesture_at(0.0)
    assert 0.0 < age_of(gesture) < 1.0, "the time since it was received"
    assert gesture.labels


def test_gesture_becomes_stale_while_clock_stands_still(trained_world: World) -> None:
    """The timeout uses a steady clock."""
    replay = Replay(trained_world, stale_timeout=0.3)
    replay.gesture_at(10.0)
    gestures: list[Any] = replay.gestures
    trained_world.wait_for(lambda: gestures and gestures[-1].reason == "stale", "a stale gesture")
