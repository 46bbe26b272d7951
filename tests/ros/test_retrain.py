"""The service ~/retrain: from the first frames to a first and a second model, while the node runs."""

from __future__ import annotations

import math
import os
import signal
from itertools import pairwise
from pathlib import Path

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from sensor_msgs.msg import Image
from thumb_gesture.msg import ModelInfo, ThumbGesture, TrainingStatus

from conftest import TrainedModel, copy_frames
from harness import BEST_EFFORT, CAMERA, LABELS, NODE, TRAINING_TIMEOUT, TRANSIENT_LOCAL, World, is_alive, nanoseconds_of

FRAMES = 12


def test_first_and_second_training_and_back_without_a_restart(world: World) -> None:
    node = world.start_node(recognizer="image")
    models = world.listen(ModelInfo, f"{NODE}/model", TRANSIENT_LOCAL)
    gestures, diagnostics = world.gestures(), world.diagnostics()
    world.wait_for(lambda: models, "a message on ~/model without a model")
    assert models[-1].model_id == ""
    assert "capture" in models[-1].message and "retrain" in models[-1].message

    world.start_camera("--rate", "30", "--show", "odd:all")
    frames = world.listen(Image, CAMERA, BEST_EFFORT)
    world.wait_for(
        lambda: (
            diagnostics.level() == ord(DiagnosticStatus.WARN) and "no model" in diagnostics.status().message
        ),
        "diagnostics WARN without a model",
    )
    for label in ("thumbs_down", "thumbs_up"):
        world.show(f"odd:{label}", frames)
        world.capture(label, FRAMES)
    assert gestures == [], "no gestures without a model"

    first = world.train(epochs=5)
    assert (first.state, first.progress) == (TrainingStatus.SUCCEEDED, 1.0), first.message
    assert first.model_id in first.message
    world.wait_for(lambda: gestures, "gestures after the first training")
    assert gestures[0].model_id == first.model_id == models[-1].model_id
    assert models[-1].active and models[-1].backend == gestures[0].backend

    gestures.clear()
    second = world.train(epochs=5, seed=2)
    assert second.state == TrainingStatus.SUCCEEDED, second.message
    world.wait_for(lambda: gestures[-1].model_id == second.model_id, "gestures of the second model")
    assert_seamless_change(gestures, first.model_id, second.model_id)

    gestures.clear()
    world.wait_for(lambda: gestures, "a gesture of the second model")
    answer = world.call("activate_model", model_id="")
    assert answer.success, answer.message
    world.wait_for(lambda: gestures and gestures[-1].model_id == first.model_id, "the first model is back")
    assert_seamless_change(gestures, second.model_id, first.model_id)
    listed = {model.model_id: model.active for model in world.call("list_models").models}
    assert listed == {first.model_id: True, second.model_id: False}
    assert node.is_running()


def assert_seamless_change(gestures: list[ThumbGesture], before: str, after: str) -> None:
    """Asserts that the gestures change from one model to the other once and without a gap."""
    ids = [gesture.model_id for gesture in gestures]
    change = ids.index(after)
    assert set(ids[:change]) == {before} and set(ids[change:]) == {after}
    assert all(gesture.reason != "stale" for gesture in gestures)
    stamps = [nanoseconds_of(gesture.header.stamp) for gesture in gestures]
    gaps = [(later - earlier) * 1e-9 for earlier, later in pairwise(stamps)]
    print(f"longest gap {max(gaps):.3f} s in {len(gestures)} gestures")
    assert max(gaps) < 1.0


def test_training_reports_progress(trained_world: World) -> None:
    trained_world.start_node()
    statuses = trained_world.trainings()
    assert trained_world.train(epochs=3).state == TrainingStatus.SUCCEEDED
    running = [status for status in statuses if status.state == TrainingStatus.RUNNING]
    progress = [status.progress for status in running]
    assert progress == sorted(progress)
    stages = list(dict.fromkeys(status.stage for status in running))
    assert stages in (["features", "hands", "fit", "export"], ["features", "fit", "export"])
    assert (statuses[-1].epoch, statuses[-1].epochs) == (3, 3)
    assert 0.0 <= statuses[-1].accuracy <= 1.0
    assert statuses[-1].scenes == trained_world.model().scenes > 0
    assert statuses[-1].scenes > 1 or math.isnan(statuses[-1].new_scene_accuracy)
    assert statuses[-1].advice
    assert statuses[-1].elapsed.sec + statuses[-1].elapsed.nanosec * 1e-9 > 0.0


@pytest.mark.parametrize("labels", [None, [], ["thumbs_up"]])
def test_too_few_labels_are_rejected(world: World, trained: TrainedModel, labels: list[str] | None) -> None:
    if labels is not None:
        world.dataset.mkdir()
        copy_frames(trained, world.dataset, labels)
    world.start_node()
    answer = world.call("retrain")
    assert not answer.success
    assert str(world.dataset) in answer.message
    assert "at least two" in answer.message and "~/capture" in answer.message


@pytest.mark.parametrize("content", [b"no image", b"\xff\xd8\xff\xe0 cut off"])
def test_label_without_readable_frames_fails_and_is_named_or_left_out(
    world: World, trained: TrainedModel, content: bytes
) -> None:
    copy_frames(trained, world.dataset, ["thumbs_down", "thumbs_up"])
    (world.dataset / "broken").mkdir()
    for index in range(5):
        (world.dataset / "broken" / f"{index}.jpg").write_bytes(content)
    node = world.start_node(recognizer="image")
    statuses = world.trainings()
    answer = world.call("retrain", epochs=1)
    if answer.success:
        # Only decoding shows that the images are damaged.
        world.wait_for(lambda: statuses and statuses[-1].state == TrainingStatus.FAILED, "FAILED", timeout=TRAINING_TIMEOUT)
    message = statuses[-1].message if answer.success else answer.message
    assert "label broken" in message and "skip_empty_labels" in message
    assert world.model().model_id == ""

    status = world.train(epochs=1, skip_empty_labels=True)
    assert status.state == TrainingStatus.SUCCEEDED, status.message
    warnings = "\n".join(status.warnings)
    assert "label broken" in warnings and "every image will be taken for a gesture" in warnings
    assert len(set(status.warnings)) == len(status.warnings), "each warning comes once"
    world.wait_for(lambda: "every image will be taken for a gesture" in node.output(), "the log has the warning")


def test_two_spellings_of_a_label_are_rejected_with_both_names(world: World, trained: TrainedModel) -> None:
    copy_frames(trained, world.dataset, ["none", "thumbs_up"])
    (world.dataset / "thumbs_up").rename(world.dataset / "thumbsup")
    copy_frames(trained, world.dataset, ["thumbs_up"])
    world.start_node()
    answer = world.call("retrain")
    assert not answer.success
    assert "thumbs_up and thumbsup" in answer.message and "mv " in answer.message


def test_corrupt_file_is_skipped_and_named(world: World, trained: TrainedModel) -> None:
    copy_frames(trained, world.dataset, ["none", "thumbs_up"])
    corrupt = world.dataset / "none" / "0_corrupt.jpg"
    corrupt.write_bytes(b"\xff\xd8\xff" + b"\x17" * 1000)
    node = world.start_node()
    status = world.train(epochs=1, force=True)
    assert status.state == TrainingStatus.SUCCEEDED, status.message
    world.wait_for(lambda: str(corrupt) in node.output(), "the log names the skipped file")
    assert any(str(corrupt) in warning for warning in status.warnings)
    assert world.model().model_id == status.model_id


def test_only_one_training_runs_and_it_can_be_cancelled(trained_world: World, trained: TrainedModel) -> None:
    node = trained_world.start_node()
    statuses = trained_world.trainings()
    answer = trained_world.call("retrain", epochs=1000)
    assert answer.success, answer.message
    trained_world.wait_for(lambda: statuses and statuses[-1].progress > 0.0, "the training is under way")
    training_processes = node.children()
    assert len(training_processes) == 1

    second = trained_world.call("retrain")
    assert not second.success
    assert "running" in second.message and "cancel_training" in second.message

    assert trained_world.call("cancel_training").success
    trained_world.wait_for(
        lambda: statuses and statuses[-1].state == TrainingStatus.CANCELLED, "status CANCELLED", timeout=3.0
    )
    assert not Path(f"/proc/{training_processes[0]}").exists(), "the training process has ended"
    assert not trained_world.call("cancel_training").success
    assert trained_world.model().model_id == trained.model_id
    assert [model.model_id for model in trained_world.call("list_models").models] == [trained.model_id]
    assert trained_world.train(epochs=1).state == TrainingStatus.SUCCEEDED, "the next training runs"


def test_training_fails_when_the_training_process_is_killed(trained_world: World, trained: TrainedModel) -> None:
    node = trained_world.start_node()
    statuses = trained_world.trainings()
    assert trained_world.call("retrain", epochs=1000).success
    trained_world.wait_for(node.children, "the training process runs")
    os.kill(node.children()[0], signal.SIGKILL)
    trained_world.wait_for(
        lambda: statuses and statuses[-1].state == TrainingStatus.FAILED,
        "status FAILED",
        timeout=TRAINING_TIMEOUT,
    )
    assert "killed" in statuses[-1].message
    assert trained_world.model().model_id == trained.model_id


def test_killed_node_leaves_no_training_process_and_an_intact_store(trained_world: World, trained: TrainedModel) -> None:
    node = trained_world.start_node()
    statuses = trained_world.trainings()
    assert trained_world.call("retrain", epochs=1000).success
    trained_world.wait_for(lambda: statuses and statuses[-1].stage == "fit", "the training is under way")
    training_process = node.children()[0]
    left = trained_world.store / "models" / ".draft-4194305-left"
    left.mkdir()
    half_written = trained_world.dataset / LABELS[0] / ".thumb_gesture-writing-left"
    half_written.write_bytes(b"half a fra")
    node.kill()
    trained_world.wait_for(lambda: not is_alive(training_process), "the training process has ended", timeout=2.0)

    trained_world.start_node()
    assert trained_world.model().model_id == trained.model_id
    assert [model.model_id for model in trained_world.call("list_models").models] == [trained.model_id]
    assert not left.exists() and not half_written.exists(), "partially written files are removed"
    assert trained_world.train(epochs=1).state == TrainingStatus.SUCCEEDED


def test_worse_model_is_stored_and_promoted_only_with_force(trained_world: World, trained: TrainedModel) -> None:
    trained_world.start_node()
    # One epoch is too few for three fully connected layers with random weights.
    bad = {"strategy": "classifier", "augmentation": "off", "epochs": 1}
    status = trained_world.train(**bad)
    assert status.state == TrainingStatus.SUCCEEDED and not status.activated, status.message
    assert f"worse than the active model {trained.model_id}" in status.message and "force" in status.message
    assert trained_world.model().model_id == trained.model_id
    listed = {model.model_id: model.active for model in trained_world.call("list_models").models}
    assert listed == {status.model_id: False, trained.model_id: True}

    forced = trained_world.train(**bad, force=True)
    assert forced.activated and "forced, though worse" in forced.message, forced.message
    assert trained_world.model().model_id == forced.model_id
    assert trained_world.call("activate_model").success, "back to the first model"
    assert trained_world.model().model_id == trained.model_id


def test_only_the_newest_models_are_kept(trained_world: World, trained: TrainedModel) -> None:
    trained_world.start_node(keep_models=2)
    ids = [trained_world.train(epochs=1, seed=seed, force=True).model_id for seed in (1, 2, 3)]
    listed = [model.model_id for model in trained_world.call("list_models").models]
    assert listed == [ids[2], ids[1]]


@pytest.mark.parametrize(
    ("arguments", "known"), [({"strategy": "deep"}, "last_layer"), ({"augmentation": "wild"}, "light")]
)
def test_unknown_names_are_rejected_with_the_known_ones(
    trained_world: World, arguments: dict[str, str], known: str
) -> None:
    trained_world.start_node()
    answer = trained_world.call("retrain", **arguments)
    assert not answer.success
    assert next(iter(arguments.values())) in answer.message and known in answer.message


def test_too_many_epochs_are_rejected(trained_world: World) -> None:
    trained_world.start_node()
    answer = trained_world.call("retrain", epochs=1001)
    assert not answer.success
    assert "1000" in answer.message
