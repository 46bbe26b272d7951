"""The way of an owner, on photos of a real hand."""

from __future__ import annotations

from pathlib import Path

from sensor_msgs.msg import Image
from thumb_gesture.msg import ThumbGesture, TrainingStatus

from demo import photo_counts
from harness import CAMERA, IN_NAMESPACE, NEWEST, World, key_of, truth_of


def test_photos_that_were_not_captured_are_recognised(world: World, photos: Path) -> None:
    # Photos are 0.9 MB each, of which Fast DDS loses many where they are sent best effort.
    node = world.start_node(smoothing=0.0, image_reliability="reliable")
    world.start("photo_camera", "--photos", str(photos), "--rate", "15", "--show", "odd:all", *IN_NAMESPACE)
    frames = world.listen(Image, CAMERA, NEWEST)
    for label, count in photo_counts(photos).items():
        world.show(f"odd:{label}", frames)
        world.capture(label, count)
    status = world.train()
    assert status.state == TrainingStatus.SUCCEEDED, status.message

    world.show("even:all", frames)
    gestures = world.gestures()
    world.wait_for(lambda: len(gestures) >= 150, "150 gestures", node, timeout=60.0)
    assert len({key_of(gesture.header) for gesture in gestures}) == len(gestures)
    right = [
        gesture.label == truth_of(gesture) and gesture.gesture != ThumbGesture.UNKNOWN for gesture in gestures
    ]
    accuracy = sum(right) / len(right)
    print(f"{accuracy:.3f} of {len(right)} gestures are right")
    assert accuracy >= 0.95
