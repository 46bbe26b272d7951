"""MediaPipe on photos, in Python, for people.py: prints one JSON object per photo, its path and the probability of each gesture.

    mediapipe_peer.py rule                   paths of photos in the standard input, one per line
    mediapipe_peer.py gestures TASK_FILE     the same, with MediaPipe's gesture recognizer and its file gesture_recognizer.task

`rule` is MediaPipe's hand solution (full landmarks, two hands, single images) with the rule of this package's src/hand/rule.rs, so that
both differ only in how hands are found. A file that is no image has no line in the output.
"""

import json
import sys
from collections.abc import Callable

import mediapipe
import numpy
from PIL import Image, ImageOps

MAX_HANDS = 2
WRIST, THUMB_KNUCKLE, THUMB_TIP, INDEX_KNUCKLE, LITTLE_KNUCKLE = 0, 2, 4, 5, 17
KNUCKLES = [5, 9, 13, 17]
# What makes fingers of different length equally long.
FINGER_FACTORS = numpy.array([1.0, 0.93, 1.0, 1.25])
# Value with a confidence of 0.5, and the difference that changes the logit by 1.
PROTRUSION, FOLDING, ALIGNMENT, VERTICALITY = (0.28, 0.07), (-0.9, 0.04), (0.35, 0.12), (0.42, 0.08)


def palm_size(points: numpy.ndarray) -> float:
    corners = points[[WRIST, INDEX_KNUCKLE, LITTLE_KNUCKLE]]
    return numpy.linalg.norm(corners - numpy.roll(corners, 1, axis=0), axis=1).mean()


def extension(points: numpy.ndarray) -> float:
    tips = [knuckle + 3 for knuckle in KNUCKLES]
    return (FINGER_FACTORS * numpy.linalg.norm(points[tips] - points[KNUCKLES], axis=1)).max() / palm_size(points)


def unit(vector: numpy.ndarray) -> numpy.ndarray:
    return vector / max(numpy.linalg.norm(vector), 1e-9)


def thumb(points: numpy.ndarray, world: numpy.ndarray) -> tuple[str, float]:
    """The gesture of a hand and its probability: see src/hand/rule.rs. The solution does not tell the presence of a hand."""
    flat = points[:, :2]
    thumb_direction, knuckles = unit(flat[THUMB_TIP] - flat[THUMB_KNUCKLE]), unit(flat[INDEX_KNUCKLE] - flat[LITTLE_KNUCKLE])
    direction = unit(thumb_direction + knuckles)
    up = -direction[1]
    protrusion = (flat[THUMB_TIP] @ direction - (flat[INDEX_KNUCKLE:] @ direction).max()) / palm_size(points)
    values = [
        (protrusion, PROTRUSION),
        (-min(extension(points), extension(world)), FOLDING),
        (thumb_direction @ knuckles, ALIGNMENT),
        (abs(up), VERTICALITY),
    ]
    least = min((value - limit) / scale for value, (limit, scale) in values)
    return "thumbs_up" if up > 0 else "thumbs_down", float(1 / (1 + numpy.exp(-least)))


def surest(thumbs: list[tuple[str, float]]) -> dict[str, float]:
    """The probabilities of the surest of several hands; without a hand, there is no gesture."""
    gesture, probability = max(thumbs, key=lambda item: item[1], default=("thumbs_up", 0.0))
    return {"none": 1 - probability, gesture: probability}


def load_rule() -> Callable[[numpy.ndarray], dict[str, float]]:
    hands = mediapipe.solutions.hands.Hands(static_image_mode=True, max_num_hands=MAX_HANDS, model_complexity=1)

    def classify(image: numpy.ndarray) -> dict[str, float]:
        height, width = image.shape[:2]
        found = hands.process(image)
        pairs = zip(found.multi_hand_landmarks or [], found.multi_hand_world_landmarks or [])
        # Landmarks are relative to the width, height and width of the image.
        return surest([thumb(points(hand) * [width, height, width], points(world)) for hand, world in pairs])

    return classify


def points(landmarks) -> numpy.ndarray:
    return numpy.array([[point.x, point.y, point.z] for point in landmarks.landmark])


def load_gestures(task_file: str) -> Callable[[numpy.ndarray], dict[str, float]]:
    from mediapipe.tasks.python import BaseOptions, vision

    options = vision.GestureRecognizerOptions(base_options=BaseOptions(model_asset_path=task_file), num_hands=MAX_HANDS)
    recognizer = vision.GestureRecognizer.create_from_options(options)
    names = {"Thumb_Up": "thumbs_up", "Thumb_Down": "thumbs_down"}

    def classify(image: numpy.ndarray) -> dict[str, float]:
        found = recognizer.recognize(mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=image))
        categories = [category for hand in found.gestures for category in hand if category.category_name in names]
        return surest([(names[category.category_name], category.score) for category in categories])

    return classify


def main() -> None:
    if len(sys.argv) < 2:
        sys.exit(__doc__)
    classify = load_rule() if sys.argv[1] == "rule" else load_gestures(sys.argv[2])
    for line in sys.stdin:
        file = line.rstrip("\n")
        try:
            image = numpy.ascontiguousarray(ImageOps.exif_transpose(Image.open(file)).convert("RGB"))
        except OSError as error:
            print(error, file=sys.stderr)
            continue
        print(json.dumps({"file": file, "probabilities": classify(image)}), flush=True)


if __name__ == "__main__":
    main()
