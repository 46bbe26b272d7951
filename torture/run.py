"""Attacks the installed package: kills, full disks, containers, storms of calls, frozen cameras and fuzzed files. `make torture`.

Prints every fault with what repeats it, and a table at the end; the exit status is 1 if there was a fault.
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

REPOSITORY = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(REPOSITORY / "tests" / "ros"))

import containers  # noqa: E402
import fuzzing  # noqa: E402
import interruptions  # noqa: E402
import node  # noqa: E402
from operations import Operations  # noqa: E402
from report import Budget, Result, table  # noqa: E402

# What each part gets of the time.
SHARES = {"kills": 2, "calls": 5, "containers": 1, "node": 1, "services": 1, "cameras": 2, "fuzzing": 4, "soak": 4}


def main() -> int:
    """Runs the parts and returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30, help="time for all parts, without builds (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same choices (default: %(default)s)")
    parser.add_argument("--only", choices=SHARES, action="append", help="run only this part; may be repeated")
    parser.add_argument("--skip", choices=SHARES, action="append", default=[], help="leave this part out; may be repeated")
    parser.add_argument(
        "--enough",
        action="store_true",
        help="fail unless enough was tried: 1000 kills, each system call, 100 freezes of a camera in each way, 10 million executions"
        " of the fuzz targets; with --minutes 600",
    )
    parser.add_argument("--artifacts", type=Path, default=Path("torture_artifacts"), help="directory for inputs that fail")
    arguments = parser.parse_args()
    parts = [part for part in arguments.only or SHARES if part not in arguments.skip]
    second = arguments.minutes * 60 / sum(SHARES[part] for part in parts)
    programs = fuzzing.build() if "fuzzing" in parts else None
    results: list[Result] = []
    with TemporaryDirectory() as directory:
        operations = Operations(Path(directory)) if {*parts} - {"fuzzing", "soak"} else None
        for part in parts:
            print(f"{part}: {SHARES[part] * second:.0f} s", flush=True)
            budget, seed = Budget(SHARES[part] * second), arguments.seed
            match part:
                case "kills":
                    results.append(interruptions.kill_at_random(operations, budget, seed))
                case "calls":
                    results += interruptions.at_each_call(operations, budget.left(), seed)
                case "containers":
                    results.append(containers.share_a_store(operations, budget, seed))
                case "node":
                    results.append(node.kill_while_it_captures(operations, budget, seed))
                case "services":
                    results.append(node.call_from_all_sides(operations, budget, seed))
                case "cameras":
                    results.append(node.freeze_cameras(operations, budget, seed))
                case "soak":
                    results.append(node.soak(budget))
                case "fuzzing":
                    results += fuzzing.fuzz(programs, arguments.artifacts.resolve(), budget, seed)
    for result in results:
        if not (result.trials or result.skipped):
            result.fault("all", "nothing was tried in the given time")
        if arguments.enough and result.skipped:
            result.fault("all", f"skipped: {result.skipped}")
        if arguments.enough and result.trials < result.goal:
            result.fault("all", f"{result.trials} trials, enough are {result.goal}")
    print(table(results))
    return int(any(result.faults for result in results))


if __name__ == "__main__":
    start = time.monotonic()
    status = main()
    print(f"{time.monotonic() - start:.0f} s")
    sys.exit(status)
