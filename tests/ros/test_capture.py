"""Frames of the camera into the dataset."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest
from thumb_gesture.msg import DatasetSummary

from harness import LATCHED, NODE, Program, World, free_domain
from images import raw


@pytest.fixture(scope="module")
def watching(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A node that has a camera; the tests that share it write nothing, or look at their own label alone."""
    with free_domain() as domain, World(tmp_path_factory.mktemp("capture"), domain) as world:
        world.start_node()
        world.start_camera("--rate", "30")
        yield world


def files(directory: Path) -> list[Path]:
    """Everything below a directory, none where there is no such directory."""
    return sorted(directory.rglob("*"))


def test_frames_become_images_and_the_summary_counts_them(watching: World) -> None:
    summaries = watching.listen(DatasetSummary, f"{NODE}/dataset", LATCHED)
    first = watching.capture("wave-2", 3)
    second = watching.capture("wave-2", 2)
    assert [(answer.saved, answer.total) for answer in (first, second)] == [(3, 3), (2, 5)]
    images = list((watching.dataset / "wave-2").iterdir())
    assert len(images) == 5, "no half-written file is left"
    assert all(file.read_bytes()[:3] == b"\xff\xd8\xff" for file in images)

    def is_counted() -> bool:
        summary = summaries[-1] if summaries else DatasetSummary()
        return dict(zip(summary.labels, summary.frames, strict=True)).get("wave-2") == 5

    watching.wait_for(is_counted, "~/dataset counts the frames")
    assert summaries[-1].path == str(watching.dataset)


@pytest.mark.parametrize(
    "label", ["", "..", "/", "a/b", "../up", ".hidden", "-rf", "thumbs up", "dämon", "a" * 300]
)
def test_a_bad_label_is_refused_with_the_rule(watching: World, label: str) -> None:
    before = files(watching.directory)
    answer = watching.call("capture", label=label, frames=1)
    assert not answer.success
    assert answer.saved == 0
    assert "a-z, A-Z, 0-9" in answer.message
    # The programs' own logs may grow; no new file or directory may appear.
    assert files(watching.directory) == before


def test_a_nul_does_not_reach_the_file_system(watching: World) -> None:
    """rclpy's strings end at a NUL, so the node gets what stands before it."""
    answer = watching.call("capture", label="../x\0", frames=1)
    assert not answer.success
    answer = watching.call("capture", label="cut\0/../../x", frames=1)
    assert answer.success
    assert (watching.dataset / "cut").is_dir()
    assert not (watching.directory.parent / "x").exists()


@pytest.mark.parametrize("frames", [0, 1001, 100_000])
def test_a_senseless_number_of_frames_is_refused(watching: World, frames: int) -> None:
    answer = watching.call("capture", label="counted", frames=frames)
    assert not answer.success
    assert "1 to 1000" in answer.message
    assert not (watching.dataset / "counted").exists()


def test_without_a_camera_it_fails_in_time_and_says_so(world: World) -> None:
    world.start_node(capture_timeout=0.5)
    start = time.monotonic()
    answer = world.call("capture", label="none", frames=5)
    assert time.monotonic() - start < 3.0
    assert not answer.success
    assert "camera/image_raw" in answer.message
    assert answer.saved == 0
    assert not (world.dataset / "none").exists()


def test_when_the_camera_stops_half_way_what_came_is_kept_and_counted(world: World) -> None:
    world.start_node(capture_timeout=0.5)
    publisher = world.camera_publisher()
    answer = world.send("capture", label="none", frames=1000)
    image = raw(numpy.zeros((24, 32, 3), numpy.uint8), "rgb8")

    def has_one() -> bool:
        publisher.publish(image)
        return len(files(world.dataset / "none")) > 0

    world.wait_for(has_one, "a first frame is saved")
    world.wait_for(answer.done, "the answer once no more frames come", timeout=5.0)
    result = answer.result()
    assert not result.success
    assert result.saved == result.total == len(list((world.dataset / "none").glob("*.jpg"))) > 0


def test_a_dataset_that_cannot_be_written_is_named(world: World) -> None:
    world.dataset.write_text("a file in the place of the directory")
    world.start_node()
    world.start_camera()
    answer = world.call("capture", label="none", frames=1)
    assert not answer.success
    assert str(world.dataset) in answer.message


def test_captures_wait_for_each_other(world: World) -> None:
    world.start_node()
    camera: Program = world.start_camera("--rate", "30")
    answers = [world.send("capture", label=label, frames=10) for label in ("one", "two")]
    world.wait_for(lambda: all(answer.done() for answer in answers), "both answers", camera)
    assert [answer.result().saved for answer in answers] == [10, 10]
