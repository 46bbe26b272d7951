"""The way of an owner, on photos of a real hand."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from sensor_msgs.msg import Image
from thumb_gesture.msg import ThumbGesture, TrainingStatus

from demo import photo_counts
from harness import CAMERA, IN_NAMESPACE, NEWEST, REPOSITORY, World, key_of, truth_of

sys.path.insert(0, str(REPOSITORY / "benches"))
from photos import SPLITS, measure, split  # noqa: E402


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


@pytest.mark.parametrize(("name", "least"), [("blocks", 0.98), ("last quarter", 0.9)])
def test_photos_of_takes_that_were_seen_in_part_are_recognised(
    tmp_path: Path, photos: Path, name: str, least: float
) -> None:
    train, test = split(photos, tmp_path, SPLITS[name])
    trained, classified = measure(train, test, tmp_path / "store")
    print(f"{name}: {classified['correct']} of {classified['frames']}; held out {trained['accuracy']:.3f}")
    assert classified["accuracy"] >= least
