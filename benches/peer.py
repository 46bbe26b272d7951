"""Inference in Python: preprocessing with PIL and torchvision, as in JetBot's notebooks, or with OpenCV and numpy; torch or ONNX Runtime.

`dataset DIRECTORY` writes noise images of two labels, to train a model whose weights do not matter, and `view.jpg` beside it. `preprocess FRAMES FILE`,
`torch FRAMES THREADS` and `onnxruntime FRAMES THREADS FILE` print the median time per frame in milliseconds as JSON. Started by benches/run.py.
"""

import io
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy
import torch
from PIL import Image
from torchvision import models, transforms

WARM_UP_FRAMES = 10
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]


def noise(seed: int) -> numpy.ndarray:
    return numpy.random.default_rng(seed).integers(0, 256, (480, 640, 3), dtype=numpy.uint8)


def write_dataset(directory: Path) -> None:
    for index, label in enumerate(["none", "thumbs_up"]):
        (directory / label).mkdir(parents=True)
        for number in range(4):
            Image.fromarray(noise(10 * index + number)).save(directory / label / f"{number}.png")


def write_view(file: Path) -> None:
    """A JPEG that takes as long to decode as a camera's: smooth, with some noise of a sensor."""
    smooth = cv2.resize(noise(2)[:24, :32], (640, 480), interpolation=cv2.INTER_CUBIC).astype(numpy.float32)
    sensor = numpy.random.default_rng(3).normal(0, 4, smooth.shape)
    Image.fromarray(numpy.clip(smooth + sensor, 0, 255).astype(numpy.uint8)).save(file, quality=80)


def median_ms(frames: int, work: Callable[[], object]) -> float:
    times = []
    for _ in range(frames + WARM_UP_FRAMES):
        start = time.perf_counter()
        work()
        times.append((time.perf_counter() - start) * 1e3)
    return statistics.median(times[WARM_UP_FRAMES:])


def preprocess(frames: int, file: str) -> dict[str, float]:
    bgr = noise(1)
    jpeg = Path(file).read_bytes()
    steps = transforms.Compose(
        [transforms.Resize((224, 224)), transforms.ToTensor(), transforms.Normalize(MEAN, STD)]
    )
    mean, std = (numpy.array(values, numpy.float32) for values in (MEAN, STD))

    def with_opencv(bgr: numpy.ndarray) -> numpy.ndarray:
        rgb = cv2.cvtColor(cv2.resize(bgr, (224, 224), interpolation=cv2.INTER_AREA), cv2.COLOR_BGR2RGB)
        values = (rgb.astype(numpy.float32) / 255 - mean) / std
        return numpy.ascontiguousarray(values.transpose(2, 0, 1)[None])

    return {
        "PIL and torchvision": median_ms(frames, lambda: steps(Image.fromarray(bgr[:, :, ::-1])).unsqueeze(0)),
        "OpenCV and numpy": median_ms(frames, lambda: with_opencv(bgr)),
        "PIL and torchvision, JPEG": median_ms(
            frames, lambda: steps(Image.open(io.BytesIO(jpeg)).convert("RGB")).unsqueeze(0)
        ),
        "OpenCV and numpy, JPEG": median_ms(
            frames, lambda: with_opencv(cv2.imdecode(numpy.frombuffer(jpeg, numpy.uint8), cv2.IMREAD_COLOR))
        ),
    }


def time_torch(frames: int, threads: int) -> float:
    torch.set_num_threads(threads)
    network = models.alexnet(weights=None, num_classes=2).eval()
    batch = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        return median_ms(frames, lambda: network(batch))


def time_onnxruntime(frames: int, threads: int, file: str) -> float:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    session = onnxruntime.InferenceSession(file, options)
    batch = numpy.random.default_rng(1).standard_normal((1, 3, 224, 224), numpy.float32)
    return median_ms(frames, lambda: session.run(None, {"input": batch}))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["dataset", directory]:
            write_dataset(Path(directory))
            write_view(Path(directory).parent / "view.jpg")
        case ["preprocess", frames, file]:
            print(json.dumps(preprocess(int(frames), file)))
        case ["torch", frames, threads]:
            print(json.dumps(time_torch(int(frames), int(threads))))
        case ["onnxruntime", frames, threads, file]:
            print(json.dumps(time_onnxruntime(int(frames), int(threads), file)))
        case _:
            sys.exit(__doc__)
