"""Compares the speed and the accuracy of this package with Python: `make bench`.

Both run alternately in several rounds, so that a drifting speed of the machine affects both; compare the ratios. Parts: the network
(forward.py), the node (node.py), several cameras (cameras.py), a training (training.py), the age of frames during a training
(frame_age.py), frames lost by the middleware (image_loss.py), the page (page.py), the accuracy on photos of other people (people.py). Writes build/bench.json and build/bench.svg (plot.py).
"""

import argparse
import json
import os
import sys
import traceback
from pathlib import Path

import cameras
import forward
import frame_age
import image_loss
import machine
import node
import page
import people
import plot
import training

RESULT = Path(__file__).parent.parent / "build" / "bench.json"
PLOT = RESULT.with_suffix(".svg")
PARTS = ["forward", "node", "cameras", "training", "frame_age", "image_loss", "page", "people"]


def main() -> None:
    cores = os.cpu_count() or 1
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, help="number of measurements of each [default: 5]")
    parser.add_argument("--frames", type=int, default=100, help="640x480 frames per round for the network [default: 100]")
    parser.add_argument(
        "--threads", type=int, nargs="+", default=sorted({1, cores}), help="numbers of threads for the network [default: 1 and all cores]"
    )
    parser.add_argument("--node-seconds", type=float, default=5.0, help="duration per node, rate and round [default: 5]")
    parser.add_argument("--only", choices=PARTS, nargs="+", default=PARTS, help="parts to run [default: all]")
    training.add_options(parser)
    people.add_options(parser)
    arguments = parser.parse_args()
    python = os.environ.get("THUMB_GESTURE_TEST_PYTHON")
    if python is None:
        sys.exit("THUMB_GESTURE_TEST_PYTHON is not set; run scripts/setup.sh --tests, then . scripts/env.sh")

    parts = {
        "forward": (lambda: forward.measure(python, arguments.rounds, arguments.frames, arguments.threads), forward.report),
        "node": (lambda: node.measure(python, arguments.rounds, arguments.node_seconds, threads=2), node.report),
        "cameras": (lambda: cameras.measure(python, arguments.rounds, arguments.node_seconds), cameras.report),
        "training": (lambda: training.measure(python, arguments), training.report),
        "frame_age": (frame_age.measure, frame_age.report),
        "image_loss": (image_loss.measure, image_loss.report),
        "page": (lambda: page.measure(arguments.rounds), page.report),
        "people": (lambda: people.measure(arguments), people.report),
    }
    results = json.loads(RESULT.read_text()) if RESULT.exists() and arguments.only != PARTS else {}
    failed = []
    for name in arguments.only:
        measure, report = parts[name]
        load = machine.Load()
        try:
            results[name] = measure()
            print(report(results[name]), flush=True)
        except (Exception, SystemExit):
            # The figures of the other parts are still worth having.
            traceback.print_exc()
            failed.append(name)
            continue
        if note := load.note():
            print(note, flush=True)
        print(flush=True)
        RESULT.write_text(json.dumps(results, indent=2) + "\n")
        plot.write(results, PLOT)
    if failed:
        sys.exit(f"these parts failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
