"""Scores of predictions for labeled photos, with 95 % confidence intervals: part of `make bench`."""

import math
import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

UP, DOWN, NONE = "thumbs_up", "thumbs_down", "none"
GESTURES = [NONE, DOWN, UP]
SURE = 0.8
BINS = 15
COLUMNS = [
    ("correct", "correct"),
    ("swapped", "up for down"),
    ("false_thumbs", "none for a thumb"),
    ("sure_errors", f"wrong, p > {SURE}"),
]


@dataclass
class Photo:
    """A file whose true gesture is known; `source` names who took it, and is empty without sources."""

    file: Path
    gesture: str
    source: str


@dataclass
class Prediction:
    truth: str
    gesture: str
    confidence: float


def gesture_of(label: str) -> str:
    """The gesture of a label, spelled as this package accepts it; a label that is no thumb shows no gesture."""
    plain = re.sub("[-_ ]", "", label.lower())
    return {"thumbsup": UP, "thumbup": UP, "thumbsdown": DOWN, "thumbdown": DOWN}.get(plain, NONE)


def predict(truth: str, probabilities: dict[str, float]) -> Prediction:
    """The most probable gesture; labels with the same gesture count together."""
    of_gestures = dict.fromkeys(GESTURES, 0.0)
    for label, probability in probabilities.items():
        of_gestures[gesture_of(label)] += probability
    gesture, confidence = max(of_gestures.items(), key=lambda item: item[1])
    return Prediction(truth, gesture, confidence)


def wilson(count: int, total: int) -> tuple[float, float] | None:
    """Wilson's 95 % interval of a share."""
    if total == 0:
        return None
    z = 1.959964
    share, spread = count / total, z * z / total
    center, half = share + spread / 2, z * math.sqrt(share * (1 - share) / total + spread / (4 * total))
    return max(0.0, (center - half) / (1 + spread)), min(1.0, (center + half) / (1 + spread))


def calibration_error(predictions: list[Prediction]) -> float:
    """The expected calibration error, with the bins of this package's own (src/metrics/calibration.rs)."""
    bins: dict[int, list[Prediction]] = {}
    for each in predictions:
        bins.setdefault(max(0, math.ceil(each.confidence * BINS) - 1), []).append(each)
    gaps = (abs(sum(each.confidence - (each.gesture == each.truth) for each in members)) for members in bins.values())
    return sum(gaps) / len(predictions)


def calibration_interval(predictions: list[Prediction]) -> tuple[float, float]:
    """The 95 % interval of the calibration error by bootstrap, with a fixed seed."""
    generator = random.Random(1)
    errors = sorted(calibration_error(generator.choices(predictions, k=len(predictions))) for _ in range(200))
    return errors[4], errors[-5]


def score(predictions: Iterable[Prediction]) -> dict:
    """All figures of a table's row for bench.json."""
    all_ = list(predictions)
    of_none = [each for each in all_ if each.truth == NONE]
    of_thumbs = [each for each in all_ if each.truth != NONE]
    wrong = [each for each in all_ if each.gesture != each.truth]
    counts = {
        "correct": (len(all_) - len(wrong), len(all_)),
        "swapped": (sum(each.gesture != NONE for each in wrong if each.truth != NONE), len(of_thumbs)),
        "false_thumbs": (sum(each.gesture != NONE for each in of_none), len(of_none)),
        "sure_errors": (sum(each.confidence > SURE for each in wrong), len(all_)),
    }
    figures = {name: {"count": count, "of": of, "interval": wilson(count, of)} for name, (count, of) in counts.items()}
    confusion = [[sum(e.truth == truth and e.gesture == gesture for e in all_) for gesture in GESTURES] for truth in GESTURES]
    error = {"error": calibration_error(all_), "interval": calibration_interval(all_)} if all_ else None
    return figures | {"calibration": error, "gestures": GESTURES, "confusion": confusion}


def table(title: str, rows: dict[str, dict]) -> str:
    """Rows of [`score`] as lines of text."""
    header = f"{title:<40}" + "".join(f"{name:>36}" for _, name in COLUMNS) + f"{'calibration error':>24}"
    return "\n".join([header, *(f"{name:<40}{cells(row)}" for name, row in rows.items())])


def cells(row: dict) -> str:
    shares = "".join(f"{share(row[key]):>36}" for key, _ in COLUMNS)
    calibration = row["calibration"]
    if calibration is None:
        return shares
    low, high = calibration["interval"]
    error = f"{calibration['error']:.3f} ({low:.3f} to {high:.3f})"
    return shares + f"{error:>24}"


def share(figure: dict) -> str:
    """A share in percent, with its interval."""
    if figure["interval"] is None:
        return "-"
    low, high = figure["interval"]
    return f"{figure['count']} of {figure['of']} {figure['count'] / figure['of']:.1%} ({low:.1%} to {high:.1%})"
