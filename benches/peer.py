"""The way a JetBot notebook does it, in Python: PIL, torchvision, torch. Started by benches/run.py.

`dataset FOLDER` writes noise pictures under two labels, for a model whose weights do not matter; `time FRAMES THREADS` times
frame after frame and prints JSON, as `thumb_gesture bench --json` does.
"""

import json
import statistics
import sys
import time
from pathlib import Path

import numpy
import torch
from PIL import Image
from torchvision import models, transforms

WARM_UP_FRAMES = 10


def noise(seed: int) -> numpy.ndarray:
    return numpy.random.default_rng(seed).integers(0, 256, (480, 640, 3), dtype=numpy.uint8)


def write_dataset(folder: Path) -> None:
    for index, label in enumerate(["none", "thumbs_up"]):
        (folder / label).mkdir(parents=True)
        for number in range(4):
            Image.fromarray(noise(10 * index + number)).save(folder / label / f"{number}.png")


def time_frames(frames: int, threads: int) -> dict:
    torch.set_num_threads(threads)
    network = models.alexnet(weights=None, num_classes=2).eval()
    steps = transforms.Compose(
        [
            transforms.Resize((224, 224)),
            transforms.ToTensor(),
            transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
        ]
    )
    bgr = noise(1)
    preprocess_ms, forward_ms = [], []
    for _ in range(frames + WARM_UP_FRAMES):
        start = time.perf_counter()
        batch = steps(Image.fromarray(bgr[:, :, ::-1])).unsqueeze(0)
        between = time.perf_counter()
        with torch.no_grad():
            network(batch)
        forward_ms.append((time.perf_counter() - between) * 1e3)
        preprocess_ms.append((between - start) * 1e3)
    return {
        "preprocess_ms": statistics.median(preprocess_ms[WARM_UP_FRAMES:]),
        "forward_ms": statistics.median(forward_ms[WARM_UP_FRAMES:]),
    }


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["dataset", folder]:
            write_dataset(Path(folder))
        case ["time", frames, threads]:
            print(json.dumps(time_frames(int(frames), int(threads))))
        case _:
            sys.exit(__doc__)
