"""Operations that are killed at random, killed at each system call, or fail at each of them."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path

from operations import REPORTED, TIMEOUT, Broken, Operation, Operations, command, run
from report import Budget, Result

# What changes files. `open` is left out, because most calls only read: a file that was just created is seen at the next call.
CHANGES = (
    "write,writev,pwrite64,pwritev,ftruncate,fallocate,copy_file_range,sendfile,fsync,fdatasync,flock,fchmod,fchmodat,chmod,"
    "mkdir,mkdirat,rmdir,unlink,unlinkat,rename,renameat,renameat2,link,linkat,symlink,symlinkat"
)
# Those of them for which a file system needs space.
ALLOCATIONS = (
    "write,writev,pwrite64,pwritev,fallocate,copy_file_range,sendfile,fsync,mkdir,mkdirat,rename,renameat,renameat2,link,linkat"
)


def kill_at_random(operations: Operations, budget: Budget, seed: int) -> Result:
    """Kills each operation in turn, at a random time."""
    result, choose = Result("kills at random times"), random.Random(seed)
    durations: dict[str, float] = {}
    for number in budget.trials():
        operation = operations.all[number % len(operations.all)]
        root = operations.start()
        start = time.monotonic()
        if operation.name not in durations:
            run(command(*operation.arguments(root)))
            durations[operation.name] = time.monotonic() - start
            root = operations.start()
        # Before that, it loads libraries.
        wait = choose.uniform(0.3, 1.05) * durations[operation.name]
        process = subprocess.Popen(
            command(*operation.arguments(root)), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        try:
            process.wait(wait)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        check(operations, operation, root, result, f"{operation.name} after {wait:.3f} s")
    return result


def at_each_call(operations: Operations, budget: Budget, seed: int) -> list[Result]:
    """Kills each operation at each system call that changes files, and makes each of them fail, in random order."""
    results = {
        "kill": Result("kills at system calls"),
        "EIO": Result("input/output errors at system calls"),
        "ENOSPC": Result("full disks from a system call on"),
    }
    reason = strace_problem()
    if reason:
        for result in results.values():
            result.skipped = reason
        return list(results.values())
    points = [
        (operation, way, number)
        for operation in operations.all
        for way, calls in {"kill": CHANGES, "EIO": CHANGES, "ENOSPC": ALLOCATIONS}.items()
        for number in range(1, count_calls(operations, operation, calls) + 1)
    ]
    random.Random(seed).shuffle(points)
    done: Counter[str] = Counter()
    for point in points:
        if budget.left() == 0:
            break
        operation, way, number = point
        done[way] += 1
        fail_at(operations, operation, way, number, results[way])
    for way, result in results.items():
        result.note = f"of {sum(1 for point in points if point[1] == way)} calls"
    return list(results.values())


def strace_problem() -> str:
    """Why strace cannot be used, or nothing."""
    if not shutil.which("strace"):
        return "strace is not installed"
    try:
        run(["strace", "-f", "--seccomp-bpf", "-o", "/dev/null", "true"])
    except Broken as problem:
        return str(problem)
    return ""


def count_calls(operations: Operations, operation: Operation, calls: str) -> int:
    """The largest number of calls of one thread: strace counts them per thread."""
    root, log = operations.start(), operations.directory / "calls"
    traced(operation, root, calls, "-o", str(log))
    per_thread = Counter(line.split()[0] for line in log.read_text(errors="replace").splitlines() if "resumed" not in line)
    return max(per_thread.values(), default=0)


def traced(operation: Operation, root: Path, calls: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Runs an operation under strace."""
    strace = ["strace", "-f", "--seccomp-bpf", "-qqq", "-e", f"trace={calls}", "-e", "signal=none", *options]
    return run(strace + command(*operation.arguments(root)), is_checked=False)


def fail_at(operations: Operations, operation: Operation, way: str, number: int, result: Result) -> None:
    """Kills an operation at a call, or makes that call fail; a disk that is full stays full."""
    injection = {
        "kill": f"{CHANGES}:signal=SIGKILL:when={number}",
        "EIO": f"{CHANGES}:error=EIO:when={number}",
        "ENOSPC": f"{ALLOCATIONS}:error=ENOSPC:when={number}+",
    }[way]
    root, trial = operations.start(), f"{operation.name}, {way} at call {number}"
    try:
        done = traced(operation, root, injection.split(":")[0], "-e", f"inject={injection}", "-o", "/dev/null")
    except subprocess.TimeoutExpired:
        result.trials += 1
        result.fault(trial, f"has not ended within {TIMEOUT} s")
        return
    if way != "kill" and (done.returncode not in REPORTED or "panicked" in done.stderr):
        result.fault(trial, f"ends with {done.returncode}: {done.stderr[-2000:]}")
    check(operations, operation, root, result, trial)


def check(operations: Operations, operation: Operation, root: Path, result: Result, trial: str) -> None:
    """Checks what an interruption has left, and that the operation can be repeated."""
    result.trials += 1
    try:
        operations.check_interrupted(operation, root)
        operations.check_repeated(operation, root)
        if operation.name != "train":
            return
        operations.check_template()
    except Broken as broken:
        result.fault(trial, broken)
