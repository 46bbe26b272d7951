"""The topics with messages of vision_msgs, of a node that was built with that package."""

from __future__ import annotations

from typing import Any

import pytest
from thumb_gesture.msg import ThumbGesture

from conftest import OTHER, TrainedModel, add_model, change_manifest
from harness import LABELS, NODE, TRANSIENT_LOCAL, World, key_of

vision_msgs = pytest.importorskip(
    "vision_msgs.msg", reason="vision_msgs is not installed; install it, for example ros-jazzy-vision-msgs, and build once more"
)


class Pair:
    """The gestures of a camera, and their classifications."""

    def __init__(self, world: World, camera: str = "") -> None:
        self.world = world
        self.gestures = world.gestures(camera)
        topic = f"{NODE}/{camera}/classification" if camera else f"{NODE}/classification"
        self.classifications = world.listen(vision_msgs.Classification, topic)
        world.wait_for(
            lambda: world.peer.count_publishers(topic), f"the node publishes {topic}; it must be built with vision_msgs"
        )

    def wait_for_reasons(self, reasons: set[str], count: int = 1) -> list[tuple[ThumbGesture, Any]]:
        """Waits until there are gestures with one of these reasons and a classification; returns both of each."""

        def pairs() -> list[tuple[ThumbGesture, Any]]:
            # A stale gesture has the header of the one before; both have one classification each, in this order.
            of_header: dict[Any, list[Any]] = {}
            for classification in self.classifications:
                of_header.setdefault(key_of(classification.header), []).append(classification)
            found = []
            for gesture in self.gestures:
                matching = of_header.get(key_of(gesture.header))
                if matching:
                    found.append((gesture, matching.pop(0)))
            return [pair for pair in found if pair[0].reason in reasons]

        self.world.wait_for(lambda: len(pairs()) >= count, f"{count} classifications, reasons {reasons}")
        return pairs()


def expected_results(gesture: ThumbGesture) -> list[tuple[str, float]]:
    """Each label's index and probability, the highest first."""
    numbered = [(str(index), probability) for index, probability in enumerate(gesture.probabilities)]
    return sorted(numbered, key=lambda result: -result[1])


def results_of(classification: Any) -> list[tuple[str, float]]:
    """Ids and scores."""
    return [(result.class_id, result.score) for result in classification.results]


def class_map_of(label_info: Any) -> dict[int, str]:
    """The label of each id."""
    return {entry.class_id: entry.class_name for entry in label_info.class_map}


def test_classification_has_the_probabilities_of_the_gesture(trained_world: World) -> None:
    trained_world.start_node(image_reliability="reliable")
    pair = Pair(trained_world)
    camera = trained_world.start_camera("--rate", "30", "--show", "odd:all")
    pairs = pair.wait_for_reasons({"", "threshold", "margin"}, 30)
    for gesture, classification in pairs:
        assert results_of(classification) == expected_results(gesture)
        assert classification.header == gesture.header
    assert {gesture.label for gesture, _ in pairs} == set(LABELS)
    assert camera.end() == 0
    # The last scores would be taken for the present.
    for gesture, classification in pair.wait_for_reasons({"stale"}):
        assert classification.results == [] and classification.header == gesture.header


def test_unfamiliar_frames_have_no_results(trained_world: World) -> None:
    trained_world.start_node(image_reliability="reliable", recognizer="image", familiarity_threshold=1.0)
    pair = Pair(trained_world)
    trained_world.start_camera("--rate", "30", "--show", "odd:thumbs_up")
    for gesture, classification in pair.wait_for_reasons({"unfamiliar"}, 5):
        assert len(gesture.probabilities) == len(LABELS)
        assert classification.results == []


def test_each_camera_has_its_own_classifications(trained_world: World) -> None:
    trained_world.start_node(image_reliability="reliable", cameras="[front, rear]")
    pairs = {name: Pair(trained_world, name) for name in ("front", "rear")}
    trained_world.start_camera("--show", "odd:thumbs_up", name="front")
    trained_world.start_camera("--show", "odd:thumbs_down", name="rear")
    for name, label in [("front", "thumbs_up"), ("rear", "thumbs_down")]:
        for gesture, classification in pairs[name].wait_for_reasons({""}, 5):
            assert classification.header.frame_id == f"camera_{label}"
            assert results_of(classification) == expected_results(gesture)


def test_late_subscribers_get_the_labels_of_the_model_in_use(trained_world: World, trained: TrainedModel) -> None:
    other_labels = ["fist", "none", "thumbs_up"]
    change_manifest(add_model(trained_world.store, trained), labels=other_labels)
    trained_world.start_node(recognizer="image", threshold=0.75)
    for version, (model_id, labels) in enumerate([(trained.model_id, LABELS), (OTHER, other_labels), (trained.model_id, LABELS)], 1):
        if version > 1:
            answer = trained_world.call("activate_model", model_id=model_id)
            assert answer.success, answer.message
        trained_world.wait_for(lambda: trained_world.model().model_id == model_id, f"{model_id} is in use")
        vision_info = trained_world.listen(vision_msgs.VisionInfo, f"{NODE}/vision_info", TRANSIENT_LOCAL)
        label_info = trained_world.listen(vision_msgs.LabelInfo, f"{NODE}/label_info", TRANSIENT_LOCAL)
        trained_world.wait_for(lambda: vision_info and label_info, "~/vision_info and ~/label_info")
        assert (vision_info[-1].method, vision_info[-1].database_version) == ("alexnet", version)
        assert vision_info[-1].database_location == f"{NODE}/label_info"
        assert class_map_of(label_info[-1]) == dict(enumerate(labels))
        assert label_info[-1].threshold == pytest.approx(0.75)
        assert label_info[-1].header.stamp.sec > 0


def test_location_of_the_labels_is_the_remapped_topic(trained_world: World) -> None:
    trained_world.start_node("-r", "~/label_info:=/labels")
    label_info = trained_world.listen(vision_msgs.LabelInfo, "/labels", TRANSIENT_LOCAL)
    vision_info = trained_world.listen(vision_msgs.VisionInfo, f"{NODE}/vision_info", TRANSIENT_LOCAL)
    trained_world.wait_for(lambda: vision_info and label_info, "~/vision_info and /labels")
    assert vision_info[-1].database_location == "/labels"
