"""Fixtures: a world for each test, and a model that all tests share, trained on captured frames."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from numpy import ndarray
from sensor_msgs.msg import Image

from harness import BEST_EFFORT, CAMERA, FRAMES_PER_LABEL, LABELS, PHOTOS, World, free_domain, truth_of
from images import pixels_of
from requirement import skip_or_fail

# Id of the model that add_model adds.
OTHER = "alexnet-20200101T000000.000Z"


@dataclass
class TrainedModel:
    """A model in its store, and the dataset of drawn hands that it was trained on."""

    dataset: Path
    store: Path
    model_id: str


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world with an empty dataset and an empty store."""
    with free_domain() as domain, World(tmp_path, domain) as world:
        yield world


@pytest.fixture
def trained_world(world: World, trained: TrainedModel) -> World:
    """A world with copies of the trained model and of some of its frames, which the test may change."""
    copy_frames(trained, world.dataset, LABELS)
    copy(trained.store, world.store)
    return world


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    """Captures drawn hands with the node and trains with the command line."""
    with free_domain() as domain, World(tmp_path_factory.mktemp("trained"), domain) as world:
        # A new camera for each label, started after the call: nearly the same frames are captured every time.
        world.start_node(image_reliability="reliable")
        for label in LABELS:
            answer = world.send("capture", label=label, frames=FRAMES_PER_LABEL)
            camera = world.start_camera("--rate", "30", "--show", f"odd:{label}")
            world.wait_for(answer.done, f"frames of {label}", camera)
            assert answer.result().success, answer.result().message
            assert camera.end() == 0
        summary = world.run(
            "thumb_gesture", "train", "--dataset", str(world.dataset), "--store", str(world.store), "--json"
        )
        return TrainedModel(world.dataset, world.store, summary["model_id"])


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ndarray]:
    """An image of each label that was not captured, as RGB pixels."""
    images: dict[str, ndarray] = {}
    with free_domain() as domain, World(tmp_path_factory.mktemp("drawn"), domain) as world:
        camera = world.start_camera("--rate", "30", "--show", "even:all", "--seed", "7", "--encoding", "rgb8")
        frames = world.listen(Image, CAMERA, BEST_EFFORT)

        def is_complete() -> bool:
            images.update((truth_of(frame), pixels_of(frame)) for frame in frames)
            return set(images) == set(LABELS)

        world.wait_for(is_complete, "an image of each label", camera)
    return images


@pytest.fixture(scope="session")
def photos() -> Path:
    """A directory of real photos; skips the test if there is none."""
    if not PHOTOS.is_dir():
        reason = f"no photos in {PHOTOS}; set THUMB_GESTURE_PHOTOS to a directory with one subdirectory per label"
        skip_or_fail("photos", reason)
    return PHOTOS


def copy_frames(trained: TrainedModel, dataset: Path, labels: list[str], count: int = 8) -> None:
    """Makes a dataset of the first `count` training frames of each label: training on few frames is fast."""
    for label in labels:
        (dataset / label).mkdir(parents=True)
        for file in sorted((trained.dataset / label).iterdir())[:count]:
            os.link(file, dataset / label / file.name)


def copy(source: Path, target: Path) -> None:
    """Copies a directory with hard links: the package replaces files and never changes them."""
    shutil.copytree(source, target, copy_function=os.link)


def change_manifest(model: Path, **fields: object) -> None:
    """Replaces a model's manifest by a copy with these fields."""
    path = model / "manifest.json"
    manifest = json.loads(path.read_text()) | fields
    path.unlink()
    path.write_text(json.dumps(manifest))


def add_model(store: Path, trained: TrainedModel) -> Path:
    """Adds a copy of the trained model under the id OTHER."""
    model = store / "models" / OTHER
    copy(store / "models" / trained.model_id, model)
    change_manifest(model, id=OTHER, created="2020-01-01T00:00:00Z")
    return model
