"""Times a training with this package and with the loop of JetBot's notebook on the same frames: part of `make bench`.

notebook.py has the loop of the notebook, frames.py writes the frames.
"""

import argparse
import json
import os
import statistics
import tempfile
from dataclasses import dataclass
from pathlib import Path

from programs import run, show_progress

HERE = Path(__file__).parent
PHOTOS = HERE.parent.parent / "shared" / "photos"
EPOCHS = 30
ADDED_FRAMES = 20
# The stages that correspond to the notebook's loop: without store, export and report.
LOOP_STAGES = {"features", "measurement", "training"}
# Name, options, and the goal: how many times faster than the notebook's loop.
VARIANTS = [
    ("no copies", ["--augmentation", "off"], 100),
    ("five augmented copies", ["--augmentation", "light", "--copies", 5], 20),
]


@dataclass
class Frames:
    """The directories that frames.py wrote; no frames of noise are held out."""

    train: Path
    earlier: Path
    held_out: Path | None


def add_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("training")
    group.add_argument(
        "--photos",
        type=Path,
        default=PHOTOS if PHOTOS.is_dir() else None,
        metavar="DIR",
        help="directory with one directory of photos per label [default: ../shared/photos if there is one, else noise]",
    )
    group.add_argument(
        "--training-frames", type=int, default=228, help=f"frames to train on, more than {ADDED_FRAMES} [default: 228]"
    )
    group.add_argument("--training-rounds", type=int, default=3, help="number of measurements of thumb_gesture [default: 3]")
    group.add_argument(
        "--loop-epochs", type=int, default=3, help=f"measured epochs of the notebook's loop, scaled to {EPOCHS} [default: 3]"
    )
    group.add_argument(
        "--full-loop", action="store_const", dest="loop_epochs", const=EPOCHS, help=f"run all {EPOCHS} epochs of the loop"
    )


def measure(python: str, arguments: argparse.Namespace) -> dict:
    """All figures of the training for bench.json."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        show_progress("frames to train on")
        photos = [arguments.photos] if arguments.photos else []
        run(python, HERE / "frames.py", directory, arguments.training_frames, ADDED_FRAMES, *photos)
        frames = Frames(directory / "train", directory / "earlier", directory / "held_out" if photos else None)
        # One round before the loop and the others after it, so that a drifting speed of the machine affects both.
        rounds = [one_round(frames, directory / "store_1", 1)]
        notebook = run_notebook(python, frames, arguments.loop_epochs)
        rounds += [one_round(frames, directory / f"store_{n}", n) for n in range(2, arguments.training_rounds + 1)]
        show_progress("")
        held_out = len(list(frames.held_out.glob("*/*"))) if frames.held_out else 0
    variants = {name: summarize([each[name] for each in rounds], notebook["seconds"], goal) for name, _, goal in VARIANTS}
    return {
        "frames": arguments.training_frames,
        "held_out_frames": held_out,
        "epochs": EPOCHS,
        "notebook": notebook,
        "thumb_gesture": variants,
        "retrain": {
            "added_frames": ADDED_FRAMES,
            "computed_frames": max(each["retrain"]["computed_frames"] for each in rounds),
        }
        | medians([each["retrain"] for each in rounds]),
    }


def run_notebook(python: str, frames: Frames, epochs: int) -> dict:
    weights = Path(os.environ["THUMB_GESTURE_PRETRAINED"]) / "alexnet_imagenet.safetensors"
    held_out = [frames.held_out] if frames.held_out else []
    result = json.loads(run(python, HERE / "notebook.py", frames.train, epochs, weights, *held_out))
    return result | {"seconds": statistics.mean(result["epoch_seconds"]) * EPOCHS}


def one_round(frames: Frames, stores: Path, number: int) -> dict[str, dict]:
    """Times every variant in a new store without cached features, and a second training after frames were added."""
    results = {}
    for name, options, _ in VARIANTS:
        show_progress(f"thumb_gesture, {name}, round {number}")
        store = stores / name
        results[name] = train(frames.train, store, options) | {"accuracy": accuracy(frames.held_out, store)}
    show_progress(f"thumb_gesture, retrain, round {number}")
    options = VARIANTS[0][1]
    train(frames.earlier, stores / "retrain", options)
    results["retrain"] = train(frames.train, stores / "retrain", options)
    return results


def train(dataset: Path, store: Path, options: list) -> dict:
    fixed = ["--json", "--strategy", "last_layer", "--epochs", EPOCHS, "--folds", 1]
    report = json.loads(run("thumb_gesture", "train", *fixed, *options, "--dataset", dataset, "--store", store))
    return {
        "seconds": report["train_seconds"],
        "stages": {stage["stage"]: stage["seconds"] for stage in report["timings"]},
        "computed_frames": report["computed_frames"],
        "epochs": report["epochs"],
    }


def accuracy(held_out: Path | None, store: Path) -> float | None:
    if held_out is None:
        return None
    return json.loads(run("thumb_gesture", "evaluate", "--json", "--dataset", held_out, "--store", store))["accuracy"]


def medians(rounds: list[dict]) -> dict:
    """Medians in seconds, in total and by stage."""
    stages = {stage: statistics.median(each["stages"][stage] for each in rounds) for stage in rounds[0]["stages"]}
    return {"seconds": statistics.median(each["seconds"] for each in rounds), "stages": stages}


def summarize(rounds: list[dict], notebook_seconds: float, goal: int) -> dict:
    """The medians over the rounds, and the ratios to the notebook. All rounds have the same seed and thus the same accuracy."""
    times = medians(rounds)
    loop_seconds = sum(seconds for stage, seconds in times["stages"].items() if stage in LOOP_STAGES)
    return times | {
        "loop_seconds": loop_seconds,
        "ratio": notebook_seconds / times["seconds"],
        "loop_ratio": notebook_seconds / loop_seconds,
        "goal": goal,
        "epochs": rounds[0]["epochs"],
        "accuracy": rounds[0]["accuracy"],
    }


def report(result: dict) -> str:
    """The figures as a table."""
    notebook, retrain = result["notebook"], result["retrain"]
    title = f"{result['epochs']} epochs of last_layer on {result['frames']} frames"
    lines = [
        f"{title:<52}{'seconds':>9}{'times faster':>14}{'goal':>6}",
        f"{'loop of the notebook in Python' + how_timed(result):<52}{notebook['seconds']:>9.1f}",
    ]
    for name, variant in result["thumb_gesture"].items():
        lines.append(f"{f'thumb_gesture, {name}':<52}{variant['seconds']:>9.2f}{variant['ratio']:>14.1f}{variant['goal']:>6}")
        loop = "  features, measurement and training only"
        lines.append(f"{loop:<52}{variant['loop_seconds']:>9.2f}{variant['loop_ratio']:>14.1f}")
    again = f"retrain after {retrain['added_frames']} added frames, {retrain['computed_frames']} computed"
    lines.append(f"{again:<52}{retrain['seconds']:>9.2f}")
    return "\n".join(lines + accuracies(result))


def how_timed(result: dict) -> str:
    timed = result["notebook"]["epochs"]
    return "" if timed == result["epochs"] else f", scaled from {timed}"


def accuracies(result: dict) -> list[str]:
    notebook = result["notebook"]
    if not result["held_out_frames"]:
        return ["accuracy: not measured with frames of noise; use --photos DIR"]
    lines = [f"accuracy on {result['held_out_frames']} held-out frames"]
    for name, variant in result["thumb_gesture"].items():
        lines.append(f"  {f'thumb_gesture, {name}':<50}{variant['accuracy']:>9.1%}")
    epochs = f"{notebook['epochs']} of {result['epochs']} epochs"
    lines.append(f"  {f'notebook, best model of {epochs}':<50}{notebook['accuracy']:>9.1%}")
    if notebook["started_at_random"]:
        lines.append("  Its fully connected layers started with random weights; with all ImageNet weights it would be better.")
    return lines
