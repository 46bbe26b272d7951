"""What the tests share: a world each, and one model that was taught as a user teaches it."""

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

from harness import BEST_EFFORT, CAMERA, FRAMES_PER_LABEL, LABELS, REPOSITORY, World, free_domain, truth_of
from images import pixels_of

# The id of a second model.
OTHER = "alexnet-20200101T000000.000Z"


@dataclass
class Taught:
    """What came of teaching the node drawn hands."""

    dataset: Path
    store: Path
    model_id: str


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """A world that knows nothing yet."""
    with free_domain() as domain, World(tmp_path, domain) as world:
        yield world


@pytest.fixture
def taught_world(world: World, taught: Taught) -> World:
    """A world that has the taught model and some of its frames, free to change what lies in it."""
    copy_frames(taught, world.dataset, LABELS)
    copy(taught.store, world.store)
    return world


@pytest.fixture(scope="session")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Taught:
    """Frames that the node captured of drawn hands, and the model that the command line made of them."""
    with free_domain() as domain, World(tmp_path_factory.mktemp("taught"), domain) as world:
        # Each label has a camera of its own, which the node awaits: nearly the same frames every time.
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
        return Taught(world.dataset, world.store, summary["model_id"])


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> dict[str, ndarray]:
    """An image of each label that was not captured: red, green, blue."""
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
    """A directory of real photos, where there is one."""
    directory = Path(os.environ.get("THUMB_GESTURE_PHOTOS", REPOSITORY.parent / "shared" / "photos"))
    if not directory.is_dir():
        pytest.skip(
            f"no photos in {directory}; THUMB_GESTURE_PHOTOS names a directory with a directory for each label"
        )
    return directory


def copy_frames(taught: Taught, dataset: Path, labels: list[str], count: int = 8) -> None:
    """Some of the taught frames as a dataset: a training on few is a short one."""
    for label in labels:
        (dataset / label).mkdir(parents=True)
        for file in sorted((taught.dataset / label).iterdir())[:count]:
            os.link(file, dataset / label / file.name)


def copy(source: Path, target: Path) -> None:
    """A copy in no time: what the package wrote it never changes, so that both may share the files."""
    shutil.copytree(source, target, copy_function=os.link)


def change_manifest(model: Path, **fields: object) -> None:
    """Writes fields into a model's manifest, as a file of its own."""
    path = model / "manifest.json"
    manifest = json.loads(path.read_text()) | fields
    path.unlink()
    path.write_text(json.dumps(manifest))


def add_model(store: Path, taught: Taught) -> Path:
    """A second model: a copy of the first under another id."""
    model = store / "models" / OTHER
    copy(store / "models" / taught.model_id, model)
    change_manifest(model, id=OTHER, created="2020-01-01T00:00:00Z")
    return model
