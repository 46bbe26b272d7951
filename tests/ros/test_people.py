"""The scores of the benchmark with photos of other people, and how it reads directories of photos."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from harness import REPOSITORY

sys.path.insert(0, str(REPOSITORY / "benches"))
import people  # noqa: E402
from people_scores import DOWN, NONE, UP, Prediction, calibration_error, gesture_of, predict, score, table, wilson  # noqa: E402


def write(directory: Path, *names: str) -> None:
    for name in names:
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"not decoded here")


def test_calibration_error_is_that_of_the_package() -> None:
    # The example of src/metrics/calibration.rs.
    predictions = [Prediction(UP, UP, 0.9)] * 6 + [Prediction(DOWN, UP, 0.9)] * 4
    assert calibration_error(predictions) == pytest.approx(0.3)
    assert calibration_error([Prediction(UP, UP, 1.0)]) == 0.0


def test_interval_does_not_claim_certainty_for_few_photos() -> None:
    assert wilson(0, 0) is None
    low, high = wilson(10, 10)
    assert (low, high) == (pytest.approx(0.722, abs=1e-3), pytest.approx(1.0))


def test_kinds_of_errors_are_counted_apart() -> None:
    predictions = [
        Prediction(UP, UP, 0.9),
        Prediction(UP, DOWN, 0.9),
        Prediction(DOWN, NONE, 0.7),
        Prediction(NONE, UP, 0.5),
        Prediction(NONE, NONE, 0.99),
    ]
    scored = score(predictions)
    counts = {key: (scored[key]["count"], scored[key]["of"]) for key in ("correct", "swapped", "false_thumbs", "sure_errors")}
    assert counts == {"correct": (2, 5), "swapped": (1, 3), "false_thumbs": (1, 2), "sure_errors": (1, 5)}
    assert "2 of 5 40.0%" in table("", {"row": scored})
    assert "-" in table("", {"no photos": score([])})


def test_labels_of_other_gestures_show_no_thumb() -> None:
    assert [gesture_of(name) for name in ("Thumbs Up", "thumb-down", "livelong", "none")] == [UP, DOWN, NONE, NONE]
    prediction = predict(NONE, {"livelong": 0.3, "thankyou": 0.3, "thumbs_up": 0.4})
    assert (prediction.gesture, prediction.confidence) == (NONE, pytest.approx(0.6))


def test_photos_are_read_with_and_without_sources(tmp_path: Path) -> None:
    write(tmp_path / "flat", "thumbs_up/1.jpg", "livelong/2.PNG", "thumbs_up/notes.txt", "readme.jpg")
    assert [(photo.gesture, photo.source) for photo in people.read(tmp_path / "flat")] == [(NONE, ""), (UP, "")]
    write(tmp_path / "sources", "anna/thumbsdown/1.jpg", "ben/none/day/1.jpg", "loose.jpg")
    assert [(photo.gesture, photo.source) for photo in people.read(tmp_path / "sources")] == [(DOWN, "anna"), (NONE, "ben")]


def test_directory_without_photos_is_rejected_with_the_layout(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="no photos; it must have directories such as thumbs_up"):
        people.read(tmp_path)


def test_photos_of_the_same_name_are_all_copied(tmp_path: Path) -> None:
    write(tmp_path / "photos", "anna/thumbs_up/1.jpg", "ben/thumbs_up/1.jpg", "ben/wave/1.jpg", "ben/none/1.jpg")
    people.copy(people.read(tmp_path / "photos"), tmp_path / "dataset")
    names = sorted(str(file.relative_to(tmp_path / "dataset")) for file in (tmp_path / "dataset").glob("*/*"))
    assert names == ["none/ben_none_1.jpg", "none/ben_wave_1.jpg", "thumbs_up/anna_thumbs_up_1.jpg", "thumbs_up/ben_thumbs_up_1.jpg"]
