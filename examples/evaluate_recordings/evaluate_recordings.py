#!/usr/bin/env python3
"""Evaluates a directory of recordings with Ray: on this machine, or unchanged on a cluster.

    python3 evaluate_recordings.py RECORDINGS --store DIR [--output summary.json] [-- OPTIONS OF thumb_gesture bag evaluate]

Each bag in RECORDINGS is compared with BAG.labels.yaml beside it. The bags are divided into shards, which are evaluated in parallel; a
shard whose worker dies is evaluated again by another one. The summary is the one that a single `thumb_gesture bag evaluate` of all bags
writes, bit for bit. On a cluster, RECORDINGS and DIR are paths that each machine can read, and `thumb_gesture` is on the PATH of each.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import ray

# Unless they are given: one thread for each shard, and fp32, which every CPU computes.
DEFAULTS = {"--threads": "1", "--precision": "fp32"}
# Attempts after that of a worker that died.
RETRIES = 5


def bags_in(directory: Path) -> list[str]:
    """The bags below a directory: directories with metadata.yaml, and single files."""
    directories = [path.parent for path in directory.rglob("metadata.yaml")]
    files = [path for pattern in ("*.mcap", "*.db3") for path in directory.rglob(pattern)]
    single = [file for file in files if file.parent not in directories]
    return sorted(str(path.absolute()) for path in directories + single)


@ray.remote(num_cpus=1, max_retries=RETRIES)
def evaluate(bags: list[str], shard: str, options: list[str]) -> bytes:
    """The summary of a shard, as JSON."""
    with tempfile.TemporaryDirectory() as directory:
        summary, paths = Path(directory) / "summary.json", Path(directory) / "bags.txt"
        paths.write_text("\n".join(bags))
        command = ["thumb_gesture", "bag", "evaluate", "--expect-beside", "--list", str(paths), "--shard", shard]
        done = subprocess.run([*command, "--summary", str(summary), *options], capture_output=True, text=True)
        # A bag that cannot be evaluated is a row of the summary.
        if not summary.exists():
            raise RuntimeError(f"shard {shard}: {done.stderr.strip()}")
        return summary.read_bytes()


def main() -> int:
    """Evaluates all shards, and merges and prints what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recordings", type=Path, help="directory with bags, at any depth")
    parser.add_argument("--store", help="directory of the model store; without it, the built-in recognizer")
    parser.add_argument("--output", type=Path, default=Path("summary.json"), help="where to write the summary (default: %(default)s)")
    parser.add_argument("--shards", type=int, help="number of shards (default: 4 for each CPU of the cluster, at most one for each bag)")
    parser.add_argument("--address", help="address of a Ray cluster (default: a new one on this machine, or RAY_ADDRESS)")
    words = sys.argv[1:]
    end = words.index("--") if "--" in words else len(words)
    arguments, passed_on = parser.parse_args(words[:end]), words[end + 1 :]
    bags = bags_in(arguments.recordings)
    if not bags:
        sys.exit(f"{arguments.recordings} has no bags")
    ray.init(address=arguments.address, log_to_driver=False)
    count = arguments.shards or max(1, min(len(bags), 4 * int(ray.cluster_resources()["CPU"])))
    store = ["--store", str(Path(arguments.store).absolute())] if arguments.store else []
    defaults = [word for option, value in DEFAULTS.items() if option not in passed_on for word in (option, value)]
    options = [*defaults, *store, *passed_on]
    running = {evaluate.remote(bags, f"{number}/{count}", options): number for number in range(1, count + 1)}
    # Kept if a shard fails, so that only that one has to be evaluated again.
    directory = arguments.output.with_suffix(".parts")
    directory.mkdir(parents=True, exist_ok=True)
    parts = []
    while running:
        (done,), _ = ray.wait(list(running))
        number = running.pop(done)
        part = directory / f"{number}.json"
        try:
            part.write_bytes(ray.get(done))
            parts.append(str(part))
            print(f"shard {number} of {count} is done, {len(running)} to go", file=sys.stderr, flush=True)
        except ray.exceptions.RayError as error:
            print(f"shard {number} of {count} failed: {error}", file=sys.stderr, flush=True)
    merged = subprocess.run(["thumb_gesture", "bag", "summary", "--output", str(arguments.output), *parts])
    if merged.returncode == 0:
        shutil.rmtree(directory)
    return merged.returncode


if __name__ == "__main__":
    sys.exit(main())
