"""The service ~/capture."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import numpy
import pytest
from thumb_gesture.msg import DatasetSummary

from harness import NODE, TRANSIENT_LOCAL, Program, World, free_domain
from images import raw


@pytest.fixture(scope="module")
def camera_world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world with a node and a camera. Tests that share it write nothing, or use a label of their own."""
    with free_domain() as domain, World(tmp_path_factory.mktemp("capture"), domain) as world:
        world.start_node()
        world.start_camera("--rate", "30")
        yield world


def files(directory: Path) -> list[Path]:
    """All files and directories below a directory, which may be missing."""
    return sorted(directory.rglob("*"))


def test_captured_frames_are_saved_and_counted_in_the_summary(camera_world: World) -> None:
    summaries = camera_world.listen(DatasetSummary, f"{NODE}/dataset", TRANSIENT_LOCAL)
    first = camera_world.capture("wave-2", 3)
    second = camera_world.capture("wave-2", 2)
    assert [(answer.saved, answer.total) for answer in (first, second)] == [(3, 3), (2, 5)]
    images = list((camera_world.dataset / "wave-2").iterdir())
    assert len(images) == 5, "no partially written file is left"
    assert all(file.read_bytes()[:3] == b"\xff\xd8\xff" for file in images)

    def is_counted() -> bool:
        summary = summaries[-1] if summaries else DatasetSummary()
        return dict(zip(summary.labels, summary.frames, strict=True)).get("wave-2") == 5

    camera_world.wait_for(is_counted, "~/dataset counts the frames")
    assert summaries[-1].path == str(camera_world.dataset)


def test_frames_are_spread_over_time_by_the_interval(world: World) -> None:
    world.start_node(capture_interval=0.5)
    world.start_camera("--rate", "30")
    started = time.monotonic()
    world.capture("none", 4)
    assert 1.5 <= time.monotonic() - started < 8.0


def test_skipped_files_and_empty_labels_are_counted_in_the_summary(world: World) -> None:
    (world.dataset / "none" / "session").mkdir(parents=True)
    for name in ("a.HEIC", "session/b.jpg"):
        (world.dataset / "none" / name).write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0")
    (world.dataset / "thumbsup").mkdir()
    world.start_node()
    world.start_camera("--rate", "30")
    summaries = world.listen(DatasetSummary, f"{NODE}/dataset", TRANSIENT_LOCAL)
    world.wait_for(lambda: summaries, "~/dataset")
    assert (summaries[-1].labels, list(summaries[-1].skipped)) == (["none", "thumbsup"], [2, 0])
    assert "2 files are skipped" in summaries[-1].message and "convert it to JPEG" in summaries[-1].message

    answer = world.capture("thumbs_up", 2)
    assert "thumbsup" in answer.message and answer.total == 2
    assert not (world.dataset / "thumbs_up").exists(), "the spelling of the dataset is used"
    world.wait_for(lambda: list(summaries[-1].frames) == [0, 2], "the frames are counted")


def test_unreadable_dataset_is_named_in_the_summary(world: World) -> None:
    for part in ("train", "test"):
        (world.dataset / part / "none").mkdir(parents=True)
        (world.dataset / part / "none" / "a.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    world.start_node()
    summaries = world.listen(DatasetSummary, f"{NODE}/dataset", TRANSIENT_LOCAL)
    world.wait_for(lambda: summaries, "~/dataset")
    assert "holds train and test" in summaries[-1].message


@pytest.mark.parametrize(
    "label", ["", "..", "/", "a/b", "../up", ".hidden", "-rf", "thumbs up", "dämon", "a" * 300]
)
def test_invalid_label_is_rejected_with_the_rule(camera_world: World, label: str) -> None:
    before = files(camera_world.directory)
    answer = camera_world.call("capture", label=label, frames=1)
    assert not answer.success
    assert answer.saved == 0
    assert "a-z, A-Z, 0-9" in answer.message
    # Log files may grow, but no new file or directory may appear.
    assert files(camera_world.directory) == before


def test_nul_in_a_label_does_not_reach_the_file_system(camera_world: World) -> None:
    """rclpy ends strings at a NUL, so the node receives the part before it."""
    answer = camera_world.call("capture", label="../x\0", frames=1)
    assert not answer.success
    answer = camera_world.call("capture", label="cut\0/../../x", frames=1)
    assert answer.success
    assert (camera_world.dataset / "cut").is_dir()
    assert not (camera_world.directory.parent / "x").exists()


@pytest.mark.parametrize("frames", [0, 1001, 100_000])
def test_number_of_frames_out_of_range_is_rejected(camera_world: World, frames: int) -> None:
    answer = camera_world.call("capture", label="counted", frames=frames)
    assert not answer.success
    assert "1 to 1000" in answer.message
    assert not (camera_world.dataset / "counted").exists()


def test_capture_without_camera_fails_within_the_timeout(world: World) -> None:
    world.start_node(capture_timeout=0.5)
    start = time.monotonic()
    answer = world.call("capture", label="none", frames=5)
    assert time.monotonic() - start < 3.0
    assert not answer.success
    assert "camera/image_raw" in answer.message
    assert answer.saved == 0
    assert not (world.dataset / "none").exists()


def test_frames_captured_before_the_camera_stopped_are_kept_and_counted(world: World) -> None:
    world.start_node(capture_timeout=0.5)
    publisher = world.camera_publisher()
    answer = world.send("capture", label="none", frames=1000)
    image = raw(numpy.zeros((24, 32, 3), numpy.uint8), "rgb8")

    def has_frame() -> bool:
        publisher.publish(image)
        return len(files(world.dataset / "none")) > 0

    world.wait_for(has_frame, "a first frame is saved")
    world.wait_for(answer.done, "the response after the camera has stopped", timeout=5.0)
    result = answer.result()
    assert not result.success
    assert result.saved == result.total == len(list((world.dataset / "none").glob("*.jpg"))) > 0


def test_dataset_that_cannot_be_written_is_named_in_the_error(world: World) -> None:
    world.dataset.write_text("a file instead of a directory")
    world.start_node()
    world.start_camera()
    answer = world.call("capture", label="none", frames=1)
    assert not answer.success
    assert str(world.dataset) in answer.message


def test_captures_run_one_after_another(world: World) -> None:
    world.start_node()
    camera: Program = world.start_camera("--rate", "30")
    answers = [world.send("capture", label=label, frames=10) for label in ("one", "two")]
    world.wait_for(lambda: all(answer.done() for answer in answers), "both responses", camera)
    assert [answer.result().saved for answer in answers] == [10, 10]
