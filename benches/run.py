"""Times a frame's way and a training, through this package and the Python way side by side: `make bench`.

Here a frame's way is timed: both run in turn, several rounds, one process each, so that a machine whose speed drifts slows
both. What counts is the ratio. The training is left to training.py, what a frame waits meanwhile to frame_age.py. Writes build/bench.json.
"""

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

import frame_age
import training
from programs import run, show_progress

PEER = Path(__file__).with_name("peer.py")
RESULT = Path(__file__).parent.parent / "build" / "bench.json"
STEPS = ["preprocess_ms", "forward_ms"]


def ours(store: Path, frames: int, threads: int) -> dict[str, float]:
    report = json.loads(run("thumb_gesture", "bench", "--json", "--store", store, "--frames", frames, "--threads", threads))
    return {step: report[step]["p50"] for step in STEPS}


def pythons(python: str, frames: int, threads: int) -> dict[str, float]:
    return json.loads(run(python, PEER, "time", frames, threads))


def measure(python: str, rounds: int, frames: int, threads: int) -> list[dict]:
    """One row for each step: the medians over the rounds, and the median of the rounds' ratios."""
    with tempfile.TemporaryDirectory() as folder:
        dataset, store = Path(folder, "dataset"), Path(folder, "store")
        run(python, PEER, "dataset", dataset)
        run("thumb_gesture", "train", "--json", "--epochs", 1, "--dataset", dataset, "--store", store)
        results = []
        for number in range(1, rounds + 1):
            show_progress(f"frames, round {number} of {rounds}")
            results.append((ours(store, frames, threads), pythons(python, frames, threads)))
        show_progress("")
    return [
        {
            "step": step.removesuffix("_ms"),
            "thumb_gesture_ms": statistics.median(our[step] for our, _ in results),
            "python_ms": statistics.median(peer[step] for _, peer in results),
            "ratio": statistics.median(peer[step] / our[step] for our, peer in results),
        }
        for step in STEPS
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="how often each is timed [default: 5]")
    parser.add_argument("--frames", type=int, default=100, help="640x480 frames a round [default: 100]")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="for one frame [default: all cores]")
    training.add_options(parser)
    arguments = parser.parse_args()
    python = os.environ.get("THUMB_GESTURE_TEST_PYTHON")
    if python is None:
        sys.exit("the Python to compare with is not installed: run scripts/setup.sh --tests, then . scripts/env.sh")
    rows = measure(python, arguments.rounds, arguments.frames, arguments.threads)
    print(f"{'median ms a frame':<20}{'thumb_gesture':>14}{'Python':>10}{'times faster':>14}")
    for row in rows:
        print(f"{row['step']:<20}{row['thumb_gesture_ms']:>14.3f}{row['python_ms']:>10.3f}{row['ratio']:>14.1f}")
    print(flush=True)
    trained = training.measure(python, arguments)
    training.print_report(trained)
    print(flush=True)
    aged = frame_age.measure()
    print(frame_age.report(aged))
    results = {"threads": arguments.threads, "steps": rows, "training": trained, "frame_age": aged}
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(results, indent=2) + "\n")


if __name__ == "__main__":
    main()
