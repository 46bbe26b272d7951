"""Capture, training and gestures with photos of a real hand."""

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


def test_unseen_photos_are_recognized(world: World, photos: Path) -> None:
    # Photos have 0.9 MB; Fast DDS loses many images of this size with best effort.
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
    correct = [
        gesture.label == truth_of(gesture) and gesture.gesture != ThumbGesture.UNKNOWN for gesture in gestures
    ]
    accuracy = sum(correct) / len(correct)
    print(f"{accuracy:.3f} of {len(correct)} gestures are correct")
    assert accuracy >= 0.95


@pytest.mark.parametrize(("name", "min_accuracy"), [("blocks", 0.98), ("last quarter", 0.9)])
def test_unseen_photos_of_known_bursts_are_recognized(
    tmp_path: Path, photos: Path, name: str, min_accuracy: float
) -> None:
    train, test = split(photos, tmp_path, SPLITS[name])
    trained, classified = measure(train, test, tmp_path / "store")
    print(f"{name}: {classified['correct']} of {classified['frames']}; held out {trained['accuracy']:.3f}")
    assert classified["accuracy"] >= min_accuracy
