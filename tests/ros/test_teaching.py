"""Teaching by services: recordings with a lease, and edits of the dataset that can be undone."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from numpy import ndarray
from thumb_gesture.msg import DatasetSummary, Recording, TrainingStatus
from thumb_gesture.srv import ListFrames, Record

from conftest import OTHER, TrainedModel, add_model
from harness import LABELS, NODE, TRAINING_TIMEOUT, TRANSIENT_LOCAL, World

START, RENEW, END = Record.Request.START, Record.Request.RENEW, Record.Request.END
# Of the node, plus the time of a busy machine.
LEASE = 0.8
LOST_AFTER = 1.0 + 0.5


class Teacher:
    """Records, and sees what everybody sees."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.recordings = world.listen(Recording, f"{NODE}/recording", TRANSIENT_LOCAL)
        self.summaries = world.listen(DatasetSummary, f"{NODE}/dataset", TRANSIENT_LOCAL)
        world.wait_for(lambda: self.recordings and self.summaries, "the state of the node")

    def start(self, label: str, camera: str = "") -> str:
        """Starts a recording and returns its id."""
        answer = self.world.call("record", action=START, label=label, camera=camera)
        assert answer.success, answer.message
        assert answer.lease.nanosec == LEASE * 1e9
        return answer.id

    def hold(self, id: str, is_met: Callable[[], Any]) -> None:
        """Renews a recording until the condition is met."""

        def renew() -> None:
            assert self.world.call("record", action=RENEW, id=id).success

        self.world.publish_until(is_met, "the recorded frames", renew, 0.25)

    def record(self, label: str, frames: int) -> Any:
        """Records at least so many frames, and returns the last response."""
        id = self.start(label)
        self.hold(id, lambda: self.recordings[-1].id == id and self.recordings[-1].saved >= frames)
        answer = self.world.call("record", action=END, id=id)
        assert answer.success, answer.message
        return answer

    def counts(self) -> dict[str, int]:
        """Number of frames of each label, on ~/dataset."""
        return dict(zip(self.summaries[-1].labels, self.summaries[-1].frames, strict=True))

    def has(self, counts: dict[str, int]) -> None:
        """Waits until ~/dataset has these numbers."""
        self.world.wait_for(lambda: self.counts() == counts, f"{counts} on ~/dataset")


@pytest.fixture
def teacher(world: World) -> Teacher:
    """A node with a camera and an empty dataset."""
    world.start_node(image_reliability="reliable", recognizer="image")
    world.start_camera("--rate", "30", "--show", "thumbs_up")
    diagnostics = world.diagnostics()
    world.wait_for(lambda: diagnostics.count("frames received") > 0, "frames at the node")
    return Teacher(world)


def files(world: World) -> dict[str, list[str]]:
    """The names of the files of each label."""
    directories = [path for path in world.dataset.iterdir() if not path.name.startswith(".")]
    return {path.name: sorted(file.name for file in path.iterdir()) for path in directories}


def listed(world: World, **fields: Any) -> ListFrames.Response:
    """The response of ~/list_frames, which succeeds."""
    answer = world.call("list_frames", **fields)
    assert answer.success, answer.message
    return answer


def test_held_recording_is_one_burst_and_everybody_sees_it(teacher: Teacher) -> None:
    answer = teacher.record("thumbs_up", 20)
    names = files(teacher.world)["thumbs_up"]
    assert len(names) == answer.saved >= 20
    assert len({name.split("_")[0] for name in names}) == 1, "one burst"
    assert answer.message == f"{answer.saved} frames saved under thumbs_up"
    seen = [message for message in teacher.recordings if message.id == answer.id]
    assert seen[0].active and seen[0].label == "thumbs_up" and seen[0].saved == 0
    teacher.world.wait_for(lambda: not teacher.recordings[-1].active, "the end on ~/recording")
    assert teacher.recordings[-1].saved == answer.saved
    teacher.has({"thumbs_up": answer.saved})
    second = teacher.record("none", 3)
    assert len(files(teacher.world)["none"]) == second.saved and second.id != answer.id


def test_lost_caller_ends_the_recording_within_a_second(teacher: Teacher) -> None:
    start = time.monotonic()
    id = teacher.start("thumbs_up")
    teacher.world.wait_for(lambda: teacher.recordings[-1].message, "the end of the recording")
    assert LEASE <= time.monotonic() - start < LOST_AFTER
    assert "was not renewed" in teacher.recordings[-1].message and not teacher.recordings[-1].active
    saved = len(files(teacher.world)["thumbs_up"])
    assert saved == teacher.recordings[-1].saved > 0
    late = teacher.world.call("record", action=RENEW, id=id)
    assert not late.success and "was not renewed" in late.message
    ended = teacher.world.call("record", action=END, id=id)
    assert not ended.success and ended.saved == saved
    teacher.world.spin_for(0.3)
    assert len(files(teacher.world)["thumbs_up"]) == saved


def test_silent_camera_ends_the_recording(world: World) -> None:
    """Although it is renewed: the timeout is longer than the lease."""
    world.start_node(capture_timeout=2.0)
    teacher = Teacher(world)
    id = teacher.start("none")
    end = time.monotonic() + 1.5
    teacher.hold(id, lambda: time.monotonic() > end)
    world.publish_until(
        lambda: teacher.recordings[-1].message,
        "the end of the recording",
        lambda: world.call("record", action=RENEW, id=id),
        0.25,
    )
    assert "no frame for 2s" in teacher.recordings[-1].message
    ended = world.call("record", action=END, id=id)
    assert not ended.success and ended.saved == 0
    assert not world.dataset.exists() or files(world) == {}, "no empty label"


def test_wrong_requests_are_refused_with_the_reason(teacher: Teacher) -> None:
    call = teacher.world.call
    id = teacher.start("thumbs_up")
    refused = {
        "another capture or recording is running": {"action": START, "label": "none"},
        "there is no recording": {"action": RENEW, "id": "1"},
        "action is 9": {"action": 9, "id": id},
    }
    for text, fields in refused.items():
        answer = call("record", **fields)
        assert not answer.success and text in answer.message, answer.message
        assert answer.id in ("", fields.get("id")), "not that of somebody else"
    assert call("record", action=END, id=id).success
    assert call("record", action=END, id=id).success, "the response of the first may have been lost"
    for label in ["", "../none", "a b", "\x1b[2J"]:
        answer = call("record", action=START, label=label)
        assert not answer.success and "\x1b" not in answer.message
    unknown = call("record", action=START, label="none", camera="left")
    assert not unknown.success and "unknown camera" in unknown.message


def test_capture_waits_for_the_end_of_a_recording(teacher: Teacher) -> None:
    id = teacher.start("thumbs_up")
    capture = teacher.world.send("capture", label="none", frames=2)
    teacher.hold(id, lambda: teacher.recordings[-1].id == id and teacher.recordings[-1].saved >= 10)
    assert not capture.done()
    assert teacher.world.call("record", action=END, id=id).success
    teacher.world.wait_for(capture.done, "the capture")
    assert capture.result().success, capture.result().message


def test_frames_are_listed_in_pages_with_thumbnails(trained_world: World) -> None:
    world = trained_world
    world.start_node()
    first = listed(world, label="none", limit=3, thumbnails=True)
    second = listed(world, label="none", offset=3, limit=100)
    names = files(world)["none"]
    assert first.total == second.total == len(names)
    assert [frame.frame for frame in [*first.frames, *second.frames]] == [f"none/{name}" for name in names]
    for frame in first.frames:
        assert frame.label == "none" and frame.camera == ""
        assert frame.frame.startswith(f"none/{frame.burst}_") and frame.burst.endswith("Z")
        assert bytes(frame.thumbnail[:3]) == b"\xff\xd8\xff", "a JPEG"
    assert not any(frame.thumbnail for frame in second.frames)
    assert listed(world).total == sum(map(len, files(world).values()))
    assert listed(world, label="none", offset=10**9).frames == []
    for fields in [{"label": "nonsense"}, {"limit": 201}, {"label": "../none"}]:
        answer = world.call("list_frames", **fields)
        assert not answer.success and answer.message, fields


def test_edits_are_undone_one_after_the_other_and_survive_a_restart(trained_world: World) -> None:
    world = trained_world
    node = world.start_node()
    teacher, before = Teacher(world), files(trained_world)
    wrong = [frame.frame for frame in listed(world, label="none", limit=2).frames]
    everything = [frame.frame for frame in listed(world, label="thumbs_up").frames]
    assert world.call("relabel_frames", frames=wrong, label="ThumbsDown").success
    teacher.has({"none": 6, "thumbs_down": 10, "thumbs_up": 8})
    moved = [f"thumbs_down/{Path(frame).name}" for frame in wrong]
    assert "already" in world.call("relabel_frames", frames=moved, label="thumbs_down").message
    assert world.call("delete_frames", frames=everything).success
    teacher.has({"none": 6, "thumbs_down": 10})
    for frames in [["none/missing.jpg"], ["../outside.jpg"], [*wrong], []]:
        answer = world.call("delete_frames", frames=frames)
        assert not answer.success and answer.message, frames

    assert node.end() == 0
    world.start_node()
    teacher = Teacher(world)
    assert world.call("undo_edit").message == "8 frames moved back"
    assert world.call("undo_edit").success
    assert files(world) == before
    teacher.has({label: 8 for label in LABELS})
    assert not world.call("undo_edit").success, "there is nothing left to undo"

    assert world.call("delete_frames", frames=everything).success
    assert "8 frames were deleted permanently" in world.call("clear_trash").message
    assert not world.call("undo_edit").success
    assert "thumbs_up" not in files(world)


def test_training_uses_the_frames_that_it_listed_although_they_are_deleted_permanently(trained_world: World) -> None:
    world = trained_world
    world.start_node()
    teacher, statuses = Teacher(world), world.trainings()
    # Reads all frames again in each epoch.
    assert world.call("retrain", strategy="full", epochs=2, force=True).success
    world.wait_for(lambda: statuses and statuses[-1].scenes > 0, "the training has listed and read the frames")
    deleted = [frame.frame for frame in listed(world, label="none", limit=4).frames]
    assert world.call("delete_frames", frames=deleted).success
    assert world.call("clear_trash").success
    teacher.has({"none": 4, "thumbs_down": 8, "thumbs_up": 8})
    world.wait_for(
        lambda: statuses[-1].state != TrainingStatus.RUNNING, "the end of the training", timeout=TRAINING_TIMEOUT
    )
    assert statuses[-1].state == TrainingStatus.SUCCEEDED, statuses[-1].message
    assert world.call("list_models").models[0].train_frames == 24, "all that it listed"
    assert not list(world.dataset.glob(".thumb_gesture-*")), "the training leaves nothing in the dataset"


def test_last_burst_is_taken_back(teacher: Teacher) -> None:
    world = teacher.world
    assert not world.call("delete_last_burst").success, "no burst yet"
    kept = teacher.record("thumbs_up", 3).saved
    wrong = teacher.record("thumbs_up", 3).saved
    answer = world.call("delete_last_burst")
    assert answer.success and f"{wrong} frames" in answer.message
    teacher.has({"thumbs_up": kept})
    again = world.call("delete_last_burst")
    assert not again.success and "no burst" in again.message, "the one before was not the last burst"
    assert world.call("undo_edit").success
    teacher.has({"thumbs_up": kept + wrong})
    world.capture("none", 2)
    assert world.call("delete_last_burst").success
    teacher.has({"thumbs_up": kept + wrong})


def test_undo_takes_back_what_was_done_last(teacher: Teacher, drawn: dict[str, ndarray]) -> None:
    """A recording, a relabeling, a deletion, an import of two bursts and another recording, one after the other, and again."""
    world = teacher.world
    states = [{}]

    def undo_label() -> str:
        return teacher.summaries[-1].undo_label

    def done(counts: dict[str, int]) -> None:
        teacher.has(counts)
        states.append(counts)

    first = teacher.record("thumbs_up", 3).saved
    done({"thumbs_up": first})
    assert undo_label() == "thumbs_up"
    frames = [frame.frame for frame in listed(world, label="thumbs_up").frames]
    assert world.call("relabel_frames", frames=frames[:1], label="none").success
    done({"none": 1, "thumbs_up": first - 1})
    assert undo_label() == "", "a relabeling"
    assert world.call("delete_frames", frames=frames[1:2]).success
    done({"none": 1, "thumbs_up": first - 2})
    photo = encoded(drawn["thumbs_up"])
    for burst in ["a", "a", "b"]:
        assert world.call("add_frame", label="fist", burst=burst, change="import", image=photo).success
    done({"fist": 3, "none": 1, "thumbs_up": first - 2})
    last = teacher.record("none", 3).saved
    done({"fist": 3, "none": 1 + last, "thumbs_up": first - 2})

    for counts in reversed(states[:-1]):
        answer = world.call("undo_edit")
        assert answer.success, answer.message
        teacher.has(counts)
    answer = world.call("undo_edit")
    assert not answer.success and answer.message == "there is nothing to undo"
    for counts in states[1:]:
        answer = world.call("redo_edit")
        assert answer.success, answer.message
        teacher.has(counts)
    assert not world.call("redo_edit").success, "nothing is left"
    assert undo_label() == "none"

    assert "of fist taken back" in [world.call("undo_edit").message for _ in range(2)][-1]
    added = world.call("add_frame", label="wave", image=photo)
    assert added.success
    answer = world.call("redo_edit")
    assert not answer.success and "something was changed since" in answer.message
    # Somebody removes the files by hand, and another change is the last one.
    (world.dataset / added.frame).unlink()
    assert world.call("undo_edit").message == "1 frames moved back", "the deletion"


def test_undo_after_the_trash_was_emptied_takes_frames_back_that_were_added(teacher: Teacher) -> None:
    world = teacher.world
    saved = teacher.record("none", 3).saved
    frames = [frame.frame for frame in listed(world).frames]
    assert world.call("delete_frames", frames=frames[:1]).success
    assert world.call("clear_trash").success
    assert f"{saved - 1} frames of none taken back" in world.call("undo_edit").message
    assert world.call("redo_edit").success
    assert world.call("undo_edit").success
    assert world.call("clear_trash").success
    for name in ["undo_edit", "redo_edit"]:
        assert not world.call(name).success, name
    assert files(world) == {}


def test_frames_of_several_cameras_have_their_names(world: World) -> None:
    world.start_node(cameras="[left, right]", image_reliability="reliable", recognizer="image")
    for name in ("left", "right"):
        world.start_camera("--rate", "20", "--show", "none", name=name)
        diagnostics = world.diagnostics(name)
        world.wait_for(lambda seen=diagnostics: seen.count("frames received") > 0, f"frames of {name} at the node")
    teacher = Teacher(world)
    teacher.record("none", 20)
    frames = listed(world, label="none", limit=200).frames
    assert {frame.camera for frame in frames} == {"left", "right"}
    assert len({frame.burst for frame in frames}) == 1


def test_models_are_deleted_and_reports_returned(trained_world: World, trained: TrainedModel) -> None:
    world = trained_world
    model = add_model(world.store, trained)
    report = model / "report.html"
    world.start_node()
    assert world.call("get_report", model_id=trained.model_id).html.lstrip().lower().startswith("<!doctype html")
    report.unlink()
    for name, id, text in [
        ("get_report", OTHER, "has no report"),
        ("get_report", "../store", "there is no model"),
        ("delete_model", trained.model_id, "active"),
        ("delete_model", "nonsense", "there is no model"),
        ("delete_model", "../models", "there is no model"),
    ]:
        answer = world.call(name, model_id=id)
        assert not answer.success and text in answer.message, answer.message
    assert world.call("delete_model", model_id=OTHER).success
    assert not model.exists() and Path(world.store / "models" / trained.model_id).is_dir()


def test_frames_are_added_and_returned(world: World, drawn: dict[str, ndarray]) -> None:
    world.start_node(recognizer="image")
    teacher = Teacher(world)
    photo = encoded(drawn["thumbs_up"])
    added = [world.call("add_frame", label="thumbs_up", burst="photos", camera="front", image=photo) for _ in range(2)]
    assert all(answer.success for answer in added), added
    assert [Path(answer.frame).name.partition("_")[2] for answer in added] == ["0000_front.jpg", "0001_front.jpg"]
    other = world.call("add_frame", label="thumbs_up", image=photo)
    teacher.has({"thumbs_up": 3})
    frames = listed(world).frames
    assert {frame.frame for frame in frames} == {answer.frame for answer in [*added, other]}
    assert len({frame.burst for frame in frames}) == 2, "a burst for each name, and one of its own"
    returned = world.call("get_frame", frame=other.frame)
    assert returned.success and returned.format == "jpeg"
    assert bytes(returned.image) == (world.dataset / other.frame).read_bytes()
    assert world.call("delete_last_burst").success
    teacher.has({"thumbs_up": 2})
    for fields, text in [
        ({"label": "../up", "image": photo}, "not a valid label"),
        ({"label": "none", "image": b"<html>"}, "not valid"),
        ({"label": "none", "image": photo[:-100]}, "not valid"),
        ({"label": "none", "image": photo, "burst": "../x"}, "burst is"),
        ({"label": "none", "image": photo, "camera": "../b"}, "camera is"),
        ({"label": "none", "image": bytes((16 << 20) + 1)}, "at most 16 MB"),
    ]:
        answer = world.call("add_frame", **fields)
        assert not answer.success and text in answer.message, answer.message
    for frame in ["none/../../x.jpg", "/etc/passwd", ".trash/00000001/edit.json", "thumbs_up", ""]:
        answer = world.call("get_frame", frame=frame)
        assert not answer.success and "no frame" in answer.message, answer.message
    assert set(files(world)) == {"thumbs_up"}


def encoded(pixels: ndarray) -> bytes:
    """A bitmap file of RGB pixels."""
    height, width, _ = pixels.shape
    rows = b"".join(row[:, ::-1].tobytes() + bytes(-3 * width % 4) for row in pixels[::-1])
    head = b"BM" + (54 + len(rows)).to_bytes(4, "little") + bytes(4) + (54).to_bytes(4, "little")
    info = [(40, 4), (width, 4), (height, 4), (1, 2), (24, 2), (0, 4), (len(rows), 4), (0, 4), (0, 4), (0, 4), (0, 4)]
    return head + b"".join(value.to_bytes(size, "little") for value, size in info) + rows
