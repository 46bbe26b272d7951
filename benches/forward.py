"""Times preprocessing and the network alone, every backend and precision against Python, in turn: part of `make bench`."""

import json
import statistics
import tempfile
from pathlib import Path

from programs import PEER, run, show_progress, train_on_noise

OURS = "thumb_gesture"
# What `thumb_gesture bench` is asked for; a CPU that lacks what one needs runs another, and says so.
VARIANTS = {
    "thumb_gesture, onnx int8": ["--precision", "int8"],
    "thumb_gesture, onnx fp32": ["--precision", "fp32"],
    "thumb_gesture, torch fp32": ["--backend", "torch", "--precision", "fp32"],
    "thumb_gesture, torch bf16": ["--backend", "torch", "--precision", "bf16"],
}
PYTHON_TORCH = "Python torch, all of AlexNet"
PYTHON_ONNX = "Python onnxruntime, the same file"


def one_round(python: str, store: Path, frames: int, threads: int) -> dict[str, float]:
    """Every way's median, milliseconds."""
    times = {}
    for name, options in VARIANTS.items():
        command = ["bench", "--json", "--device", "cpu", "--store", store, "--frames", frames, "--threads", threads]
        report = json.loads(run("thumb_gesture", *command, *options))
        times[name] = report["forward_ms"]["p50"]
        times[OURS] = report["preprocess_ms"]["p50"]
    times[PYTHON_TORCH] = json.loads(run(python, PEER, "torch", frames, threads))
    (file,) = store.glob("models/*/model.onnx")
    times[PYTHON_ONNX] = json.loads(run(python, PEER, "onnxruntime", frames, threads, file))
    return times | json.loads(run(python, PEER, "preprocess", frames))


def measure(python: str, rounds: int, frames: int, threads: list[int]) -> dict[str, dict[str, float]]:
    """By number of threads, the medians over the rounds."""
    results: dict[int, list[dict[str, float]]] = {number: [] for number in threads}
    with tempfile.TemporaryDirectory() as directory:
        _, store = train_on_noise(python, Path(directory))
        for number in range(1, rounds + 1):
            for threads_now, found in results.items():
                show_progress(f"a frame with {threads_now} threads, round {number} of {rounds}")
                found.append(one_round(python, store, frames, threads_now))
        show_progress("")
    return {
        str(threads_now): {name: statistics.median(each[name] for each in found) for name in found[0]}
        for threads_now, found in results.items()
    }


def report(results: dict[str, dict[str, float]]) -> str:
    """The figures as tables; a share is of the time that the first Python way takes."""
    last = list(results)[-1]
    preprocessing = [OURS, "PIL and torchvision", "OpenCV and numpy"]
    lines = [f"{'preprocessing 640x480 bgr8, median':<40}{'ms':>10}{'share':>10}"]
    for name in preprocessing:
        time = results[last][name]
        lines.append(f"{name:<40}{time:>10.3f}{time / results[last][preprocessing[1]]:>10.2f}")
    headers = "".join(f"{f'{threads} threads, ms':>16}{'share':>8}" for threads in results)
    lines += ["", f"{'network alone, median':<40}{headers}"]
    for name in [PYTHON_TORCH, PYTHON_ONNX, *VARIANTS]:
        columns = "".join(f"{way[name]:>16.2f}{way[name] / way[PYTHON_TORCH]:>8.2f}" for way in results.values())
        lines.append(f"{name:<40}{columns}")
    return "\n".join(lines)
