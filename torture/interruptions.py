"""Operations that are killed at random, killed at each system call, or fail at each of them."""

from __future__ import annotations

import random
import re
import shutil
import subprocess
from collections import Counter
from pathlib import Path

from operations import REPORTED, Broken, Operation, Operations, command, kill, run, start
from report import Budget, Result

# What changes files. `open` is no part of them, because most calls only read: a file that was just created is seen at the next call.
CHANGES = (
    "write,writev,pwrite64,pwritev,ftruncate,fallocate,copy_file_range,sendfile,fsync,fdatasync,flock,fchmod,fchmodat,chmod,"
    "mkdir,mkdirat,rmdir,unlink,unlinkat,rename,renameat,renameat2,link,linkat,symlink,symlinkat"
)
# Those of them for which a file system needs space.
ALLOCATIONS = (
    "write,writev,pwrite64,pwritev,fallocate,copy_file_range,sendfile,fsync,mkdir,mkdirat,rename,renameat,renameat2,link,linkat"
)

OPENS = "open,openat,creat"

# Enough kills at random times to believe in.
KILLS = 1000

# For each way to fail, the calls, and what happens at one of them; a disk that is full stays full.
WAYS = {
    "kill": (CHANGES, "signal=SIGKILL:when={}"),
    "EIO": (CHANGES, "error=EIO:when={}"),
    "ENOSPC": (ALLOCATIONS, "error=ENOSPC:when={}+"),
    "create": (OPENS, "error=ENOSPC:when={}"),
}


def kill_at_random(operations: Operations, budget: Budget, seed: int) -> Result:
    """Kills each operation in turn, at a random time."""
    result, choose = Result("kills at random times", goal=KILLS), random.Random(seed)
    for number in budget.trials():
        operation = operations.all[number % len(operations.all)]
        root = operations.start()
        # Before that, it loads libraries.
        wait = choose.uniform(0.3, 1.05) * operations.durations[operation.name]
        process = start(command(*operation.arguments(root)))
        try:
            process.communicate(timeout=wait)
        except subprocess.TimeoutExpired:
            kill(process)
        check(operations, operation, root, result, f"{operation.name} after {wait:.3f} s")
    return result


def at_each_call(operations: Operations, seconds: float, seed: int) -> list[Result]:
    """Kills each operation at each system call that changes files, and makes each of them fail, in random order."""
    results = {
        "kill": Result("kills at system calls"),
        "EIO": Result("input/output errors at system calls"),
        "ENOSPC": Result("full disks from a system call on"),
        "create": Result("files that cannot be created"),
    }
    reason = strace_problem()
    if reason:
        for result in results.values():
            result.skipped = reason
        return list(results.values())
    points = [
        (operation, way, number)
        for operation in operations.all
        for way, numbers in calls_of(operations, operation).items()
        for number in numbers
    ]
    random.Random(seed).shuffle(points)
    # However little time there is, each way is tried.
    firsts = [next(point for point in points if point[1] == way) for way in WAYS]
    points.sort(key=lambda point: point not in firsts)
    # The time to count them is not part of the budget.
    budget = Budget(seconds)
    for operation, way, number in points:
        if budget.left() == 0:
            break
        fail_at(operations, operation, way, number, results[way])
    for way, result in results.items():
        result.goal = sum(1 for point in points if point[1] == way)
        result.note = f"of {result.goal} calls"
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


def calls_of(operations: Operations, operation: Operation) -> dict[str, list[int]]:
    """For each way to fail, the numbers of the calls in a thread: strace counts them per thread."""
    root, log = operations.start(), operations.directory / "calls"
    traced(operation, root, f"{CHANGES},{OPENS}", "-o", str(log))
    calls = re.findall(r"^(\d+) +(\w+)\((.*)", log.read_text(errors="replace"), re.MULTILINE)

    def numbered(names: str) -> list[tuple[int, str]]:
        counts: Counter[str] = Counter()
        found = []
        for thread, name, rest in calls:
            if name in names.split(","):
                counts[thread] += 1
                found.append((counts[thread], rest))
        return found

    def numbers(way: str, names: str) -> list[int]:
        found = numbered(names)
        if way != "create":
            return sorted({number for number, _ in found})
        # What is opened for reading, such as a library, is not to fail in another thread.
        read = {number for number, rest in found if "O_CREAT" not in rest}
        return sorted({number for number, _ in found} - read)

    return {way: numbers(way, names) for way, (names, _) in WAYS.items()}


def traced(operation: Operation, root: Path, calls: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Runs an operation under strace."""
    strace = ["strace", "-f", "--seccomp-bpf", "-qqq", "-e", f"trace={calls}", "-e", "signal=none", *options]
    return run(strace + command(*operation.arguments(root)), is_checked=False)


def fail_at(operations: Operations, operation: Operation, way: str, number: int, result: Result) -> None:
    """Kills an operation at a call, or makes that call fail."""
    calls, event = WAYS[way]
    root, trial = operations.start(), f"{operation.name}, {way} at call {number}"
    log = operations.directory / "injected"
    try:
        done = traced(operation, root, calls, "-e", f"inject={calls}:{event.format(number)}", "-o", str(log))
    except Broken as broken:
        result.trials += 1
        result.fault(trial, broken)
        return
    # The numbers differ from run to run: it may be the opening of /dev/urandom that failed, after which libtorch aborts.
    is_meant = way != "create" or re.search(r"O_CREAT.*\(INJECTED\)", log.read_text(errors="replace"))
    if way != "kill" and is_meant and (done.returncode not in REPORTED or "panicked" in done.stderr):
        result.fault(trial, f"ends with {done.returncode}: {done.stderr[-2000:]}")
    check(operations, operation, root, result, trial)


def check(operations: Operations, operation: Operation, root: Path, result: Result, trial: str) -> None:
    """Checks what an interruption has left, and that the operation can be repeated."""
    result.trials += 1
    try:
        operations.check_interrupted(operation, root)
        operations.check_repeated(operation, root)
        operations.check_template()
    except Broken as broken:
        result.fault(trial, broken)
