"""Several containers that use one store and one dataset at the same time."""

from __future__ import annotations

import json
import random
import subprocess

from operations import (
    MODELS,
    TIMEOUT,
    Broken,
    Lost,
    Operations,
    command,
    import_bag,
    import_weights,
    is_hidden,
    kill,
    run,
    start,
    tree,
)
from report import Budget, Result

# A container on the same machine: process ids and /proc of its own.
CONTAINER = "unshare --user --map-root-user --mount --pid --fork --mount-proc".split()
AT_ONCE = 6


def share_a_store(operations: Operations, budget: Budget, seed: int) -> Result:
    """In each trial some containers add a model, import a bag and clean up at once: nothing may be lost, refused or left over."""
    result, choose = Result("containers that share a store"), random.Random(seed)
    try:
        run([*CONTAINER, "true"])
    except Broken as problem:
        result.skipped = str(problem)
        return result
    for number in budget.trials():
        result.trials += 1
        try:
            trial(operations, choose)
        except (Broken, subprocess.TimeoutExpired) as broken:
            result.fault(f"trial {number} of seed {seed}", broken)
    return result


def trial(operations: Operations, choose: random.Random) -> None:
    """Starts commands in containers at once, and checks what all of them have done."""
    root = operations.start()
    store, weights, bag = str(root / "store"), import_weights(root), import_bag(root)
    prune = ["models", "--store", store, "prune", "--keep", "100"]
    kinds = [choose.choice((weights, bag, prune)) for _ in range(AT_ONCE)]
    processes = [start(CONTAINER + command(*kind)) for kind in kinds]
    try:
        for kind, process in zip(kinds, processes, strict=True):
            _, errors = process.communicate(timeout=TIMEOUT)
            if process.returncode != 0:
                raise Broken(f"{' '.join(kind)} beside others ends with {process.returncode}: {errors[-1000:]}")
    finally:
        for process in processes:
            kill(process)
    listing = json.loads(run(command("models", "--store", store, "--json", "list")).stdout)["models"]
    if len(listing) != MODELS + kinds.count(weights):
        raise Lost(f"{kinds.count(weights)} models were added to {MODELS}, {len(listing)} are there")
    for model in listing:
        run(command("models", "--store", store, "show", model["id"]))
    hidden = [path for path in tree(root) if is_hidden(path)]
    if hidden:
        raise Broken(f"left over: {hidden}")
    images = len(list((root / "new").rglob("*.*"))) if bag in kinds else 0
    expected = sum(1 for path in operations.after["bag import"] if path.startswith("new/thumbs_up/"))
    if images != (expected if bag in kinds else 0):
        raise Lost(f"{images} frames were imported, not {expected}")
