"""Activating models, and models that cannot be activated."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy
import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from thumb_gesture.msg import ThumbGesture

from conftest import OTHER, TrainedModel, add_model, change_manifest, copy
from harness import FRAMES_PER_LABEL, LABELS, World
from images import raw


def truncated_weights(model: Path) -> str:
    """Truncates the largest file to half; returns what the error must name."""
    file = max((file for file in model.iterdir()), key=lambda file: file.stat().st_size)
    whole = file.read_bytes()
    # A hard link to a file of the original model.
    file.unlink()
    file.write_bytes(whole[: len(whole) // 2])
    return file.name


def missing_file(model: Path) -> str:
    """Removes the ONNX file."""
    (model / "model.onnx").unlink()
    return "model.onnx"


def remove(model: Path) -> None:
    """Removes a model's directory."""
    for file in model.iterdir():
        file.unlink()
    os.rmdir(model)


def unknown_network(model: Path) -> str:
    """Sets an unknown network in the manifest."""
    change_manifest(model, network="resnet9000")
    return "resnet9000"


def surplus_label(model: Path) -> str:
    """Adds a label for which the network has no output."""
    change_manifest(model, labels=["none", "thumbs_down", "thumbs_up", "wave"])
    return "4 labels"


def future_format(model: Path) -> str:
    """Sets a future version of the manifest's format."""
    change_manifest(model, version=1000)
    return "format version 1000"


def invalid_manifest(model: Path) -> str:
    """Replaces the manifest by invalid JSON."""
    (model / "manifest.json").unlink()
    (model / "manifest.json").write_text("{")
    return "manifest.json"


DAMAGES = [
    truncated_weights,
    missing_file,
    unknown_network,
    surplus_label,
    future_format,
    invalid_manifest,
]


def test_damaged_model_is_rejected_and_the_running_one_stays(
    trained_world: World, trained: TrainedModel, drawn: dict[str, numpy.ndarray]
) -> None:
    trained_world.start_node()
    publisher, gestures = trained_world.camera_publisher(), trained_world.gestures()
    image = raw(drawn["thumbs_up"], "rgb8")
    for damage in DAMAGES:
        model = add_model(trained_world.store, trained)
        name = damage(model)
        answer = trained_world.call("activate_model", model_id=OTHER)
        assert not answer.success, damage.__name__
        assert name in answer.message
        assert "the running model stays" in answer.message
        gesture = trained_world.gesture_of(publisher, image, gestures)
        assert gesture.model_id == trained.model_id
        remove(model)
    active = [model.model_id for model in trained_world.call("list_models").models if model.active]
    assert active == [trained.model_id]


def test_model_with_non_finite_output_gives_unknown_and_is_counted(
    trained_world: World, trained: TrainedModel, drawn: dict[str, numpy.ndarray]
) -> None:
    model = add_model(trained_world.store, trained)
    overflow_last_layer(model)
    trained_world.start_node(precision="fp32")
    publisher, gestures = trained_world.camera_publisher(), trained_world.gestures()
    diagnostics = trained_world.diagnostics()
    image = raw(drawn["thumbs_up"], "rgb8")
    assert trained_world.call("activate_model", model_id=OTHER).success
    gesture = trained_world.gesture_of(publisher, image, gestures)
    assert (gesture.gesture, gesture.reason) == (ThumbGesture.UNKNOWN, "not_finite")
    assert not gesture.stable
    trained_world.wait_for(
        lambda: diagnostics.count("frames failed in the runtime") > 0, "the frame is counted as failed"
    )
    assert trained_world.call("activate_model").success, "back to the first model"
    gesture = trained_world.gesture_of(publisher, image, gestures)
    assert gesture.label == "thumbs_up" and gesture.reason != "not_finite"


def overflow_last_layer(model: Path) -> None:
    """Sets the classifier's weights to the largest float, so that every logit overflows, and updates the hash."""
    path = model / "weights.safetensors"
    content = bytearray(path.read_bytes())
    header_end = 8 + int.from_bytes(content[:8], "little")
    first, last = json.loads(content[8:header_end])["classifier.weight"]["data_offsets"]
    values = numpy.full((last - first) // 4, numpy.finfo(numpy.float32).max, numpy.float32)
    content[header_end + first : header_end + last] = values.tobytes()
    path.unlink()
    path.write_bytes(content)
    hashes = json.loads((model / "manifest.json").read_text())["sha256"]
    change_manifest(model, sha256=hashes | {path.name: hashlib.sha256(content).hexdigest()})


def test_backend_in_use_and_reason_are_published(trained_world: World) -> None:
    trained_world.start_node(device="cpu", precision="fp16")
    trained_world.wait_for(lambda: trained_world.model().active, "the model is loaded")
    model = trained_world.model()
    assert model.backend == "onnx/cpu/fp32"
    assert "onnx/cpu does not support fp16" in model.message


def test_missing_required_gpu_leaves_no_model(trained_world: World) -> None:
    if shutil.which("nvidia-smi"):
        pytest.skip("nvidia-smi is installed, so there may be a GPU")
    node = trained_world.start_node(require_gpu=True)
    trained_world.wait_for(lambda: "require_gpu is set" in trained_world.model().message, "the reason on ~/model")
    assert trained_world.model().model_id == ""
    assert node.is_running()


def test_model_is_activated_and_back(
    trained_world: World, trained: TrainedModel, drawn: dict[str, numpy.ndarray]
) -> None:
    """Shows that only the damage makes the damaged models fail."""
    add_model(trained_world.store, trained)
    node = trained_world.start_node()
    publisher, gestures = trained_world.camera_publisher(), trained_world.gestures()
    for model_id, expected in [(OTHER, OTHER), ("", trained.model_id), ("", OTHER)]:
        answer = trained_world.call("activate_model", model_id=model_id)
        assert answer.success, answer.message
        gesture = trained_world.gesture_of(publisher, raw(drawn["none"], "rgb8"), gestures)
        assert gesture.model_id == expected == trained_world.model().model_id
    assert node.end() == 0
    trained_world.start_node()
    trained_world.wait_for(lambda: trained_world.model().model_id == OTHER, "the active model after a restart")


@pytest.mark.parametrize("model_id", ["no-such-model", "../models", ".", "/", "a\nb"])
def test_unknown_model_id_is_rejected(trained_world: World, model_id: str) -> None:
    trained_world.start_node()
    answer = trained_world.call("activate_model", model_id=model_id)
    assert not answer.success
    assert "there is no model" in answer.message


def test_activating_the_previous_model_fails_without_one(trained_world: World, trained: TrainedModel) -> None:
    trained_world.start_node()
    answer = trained_world.call("activate_model", model_id="")
    assert not answer.success
    assert "no earlier model" in answer.message
    assert trained_world.model().model_id == trained.model_id


@pytest.mark.parametrize("damage", [truncated_weights, unknown_network])
def test_damaged_active_model_is_reported_and_the_node_runs(
    trained_world: World, trained: TrainedModel, damage: Callable[[Path], str]
) -> None:
    name = damage(trained_world.store / "models" / trained.model_id)
    node = trained_world.start_node()
    diagnostics = trained_world.diagnostics()
    model = trained_world.model()
    assert model.model_id == ""
    assert name in model.message
    trained_world.wait_for(lambda: diagnostics.level() == ord(DiagnosticStatus.WARN), "diagnostics WARN", node)


@pytest.mark.parametrize("damage", [truncated_weights, remove])
def test_model_that_was_active_before_replaces_one_that_cannot_be_loaded(
    trained_world: World, trained: TrainedModel, damage: Callable[[Path], object]
) -> None:
    active = trained_world.store / "active.json"
    ids = {"active": OTHER, "previous": trained.model_id}
    damage(add_model(trained_world.store, trained))
    active.unlink()  # It is a hard link to the file of the other tests.
    active.write_text(json.dumps(ids))
    node = trained_world.start_node()
    trained_world.wait_for(lambda: trained_world.model().model_id == trained.model_id, "the model before")
    assert f"cannot load the active model {OTHER}" in node.output()
    assert json.loads(active.read_text()) == ids, "the store is unchanged"


def test_list_names_models_that_cannot_be_read(trained_world: World, trained: TrainedModel) -> None:
    invalid_manifest(add_model(trained_world.store, trained))
    trained_world.start_node()
    answer = trained_world.call("list_models")
    assert [model.model_id for model in answer.models] == [trained.model_id]
    assert OTHER in answer.message
    model = answer.models[0]
    assert model.active and model.network == "alexnet"
    assert list(model.labels) == LABELS
    assert model.train_frames == FRAMES_PER_LABEL * len(LABELS)
    assert 0 < model.validation_frames < model.train_frames
    assert 1e5 < model.bytes < 1e9
    assert model.strategy == "last_layer"
    low, high = model.accuracy_interval
    assert 0.0 <= low <= model.accuracy <= high <= 1.0
