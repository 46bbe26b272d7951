"""Times preprocessing and the network, for every precision and for Python, alternating: part of `make bench`."""

import json
import statistics
import tempfile
from pathlib import Path

from programs import PEER, run, show_progress, train_on_noise

OURS = "thumb_gesture"
# Options of `thumb_gesture bench`; it falls back to another precision if the CPU does not support one.
VARIANTS = {
    "thumb_gesture, onnx int8": ["--precision", "int8"],
    "thumb_gesture, onnx fp32": ["--precision", "fp32"],
}
PYTHON_TORCH = "Python torch, all of AlexNet"
PYTHON_ONNX = "Python onnxruntime, the same file"


def one_round(python: str, store: Path, view: Path, frames: int, threads: int) -> dict[str, float]:
    """The medians of all variants in milliseconds."""
    times = {}
    for name, options in VARIANTS.items():
        command = ["bench", "--json", "--recognizer", "image", "--device", "cpu", "--store", store]
        command += ["--frames", frames, "--threads", threads]
        report = json.loads(run("thumb_gesture", *command, *options))
        times[name] = report["forward_ms"]["p50"]
        times[OURS] = report["preprocess_ms"]["p50"]
        report = json.loads(run("thumb_gesture", *command, *options, "--image", view))
        times[f"{OURS}, JPEG"] = report["decode_ms"]["p50"] + report["preprocess_ms"]["p50"]
    times[PYTHON_TORCH] = json.loads(run(python, PEER, "torch", frames, threads))
    (file,) = store.glob("models/*/model.onnx")
    times[PYTHON_ONNX] = json.loads(run(python, PEER, "onnxruntime", frames, threads, file))
    return times | json.loads(run(python, PEER, "preprocess", frames, view))


def measure(python: str, rounds: int, frames: int, threads: list[int]) -> dict[str, dict[str, float]]:
    """The medians over the rounds, by number of threads."""
    results: dict[int, list[dict[str, float]]] = {number: [] for number in threads}
    with tempfile.TemporaryDirectory() as directory:
        dataset, store = train_on_noise(python, Path(directory))
        view = dataset.parent / "view.jpg"
        for number in range(1, rounds + 1):
            for threads_now, found in results.items():
                show_progress(f"network with {threads_now} threads, round {number} of {rounds}")
                found.append(one_round(python, store, view, frames, threads_now))
        show_progress("")
    return {
        str(threads_now): {name: statistics.median(each[name] for each in found) for name in found[0]}
        for threads_now, found in results.items()
    }


def report(results: dict[str, dict[str, float]]) -> str:
    """The figures as tables; `ratio` is relative to the first Python variant."""
    last = list(results)[-1]
    preprocessing = [OURS, "PIL and torchvision", "OpenCV and numpy"]
    lines = [f"{'preprocessing 640x480, median':<40}{'ms':>10}{'ratio':>10}"]
    for end in ["", ", JPEG"]:
        for name in preprocessing:
            time = results[last][name + end]
            lines.append(f"{name + end:<40}{time:>10.3f}{time / results[last][preprocessing[1] + end]:>10.2f}")
    headers = "".join(f"{f'{threads} threads, ms':>16}{'ratio':>8}" for threads in results)
    lines += ["", f"{'network, median':<40}{headers}"]
    for name in [PYTHON_TORCH, PYTHON_ONNX, *VARIANTS]:
        columns = "".join(f"{times[name]:>16.2f}{times[name] / times[PYTHON_TORCH]:>8.2f}" for times in results.values())
        lines.append(f"{name:<40}{columns}")
    return "\n".join(lines)
