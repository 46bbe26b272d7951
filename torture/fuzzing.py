"""The readers of data from outside, fuzzed with coverage guidance: the targets in `fuzz/`, with libFuzzer."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from report import Budget, Result

REPOSITORY = Path(__file__).resolve().parents[1]
CORPUS = REPOSITORY / "fuzz" / "corpus"
# An input that takes longer, and more memory, is a fault.
MAX_SECONDS = 2
MAX_MEGABYTES = 1000
# Of all targets together, in a night.
EXECUTIONS = 10**7
# As cargo-fuzz sets them, without a sanitizer, which needs nightly Rust. Integer overflows are faults.
FLAGS = [
    "-Cpasses=sancov-module",
    "-Cllvm-args=-sanitizer-coverage-level=4",
    "-Cllvm-args=-sanitizer-coverage-inline-8bit-counters",
    "-Cllvm-args=-sanitizer-coverage-pc-table",
    "-Cllvm-args=-sanitizer-coverage-trace-compares",
    "-Ccodegen-units=1",
    "-Cdebug-assertions",
    "--cfg=fuzzing",
]
STATISTIC = re.compile(r"^stat::(\w+):\s+(\d+)", re.MULTILINE)


def build() -> Path:
    """Builds the targets and returns their directory. Takes minutes once, because the dependencies are instrumented, too."""
    triple = re.search(r"^host: (.+)$", subprocess.run(["rustc", "-vV"], capture_output=True, text=True).stdout, re.MULTILINE)[1]
    target = Path(os.environ["CARGO_TARGET_DIR"]).parent / "fuzz"
    # With --target, build scripts are not instrumented.
    command = ["cargo", "build", "--release", "--locked", "--package", "thumb_gesture_fuzz", "--target", triple]
    environment = os.environ | {"CARGO_TARGET_DIR": str(target), "RUSTFLAGS": " ".join(FLAGS)}
    subprocess.run(command, cwd=REPOSITORY, env=environment, check=True)
    return target / triple / "release"


def fuzz(programs: Path, directory: Path, budget: Budget, seed: int) -> list[Result]:
    """Fuzzes each target for the same time, beginning with its corpus. Inputs that fail are kept in `directory`."""
    targets = sorted(path.name for path in CORPUS.iterdir())
    seconds = max(1, round(budget.left() / len(targets)))
    results = [fuzz_target(programs / target, directory, seconds, seed) for target in targets]
    executions = sum(result.trials for result in results)
    return [*results, Result("fuzzing, all targets", executions, goal=EXECUTIONS)]


def fuzz_target(program: Path, directory: Path, seconds: int, seed: int) -> Result:
    """Fuzzes one target."""
    result = Result(f"fuzzing {program.name}")
    found = directory / program.name
    found.mkdir(parents=True, exist_ok=True)
    command = [
        program,
        found,
        CORPUS / program.name,
        f"-seed={seed}",
        f"-max_total_time={seconds}",
        f"-timeout={MAX_SECONDS}",
        f"-rss_limit_mb={MAX_MEGABYTES}",
        f"-artifact_prefix={directory}/{program.name}-",
        "-print_final_stats=1",
    ]
    # In memory, because the readers open files.
    memory = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    with tempfile.TemporaryDirectory(dir=memory) as files:
        environment = os.environ | {"TMPDIR": files}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, errors="replace")
    numbers = {name: int(number) for name, number in STATISTIC.findall(done.stderr)}
    result.trials = numbers.get("number_of_executed_units", 0)
    result.note = f"{numbers.get('average_exec_per_sec', 0)} per second, at most {numbers.get('peak_rss_mb', 0)} MB"
    if done.returncode != 0:
        result.fault(f"seed {seed}", f"an input in {directory}:\n{done.stderr[-3000:]}")
    shutil.rmtree(found)
    return result
