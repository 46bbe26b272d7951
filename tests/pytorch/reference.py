"""Writes files with torch.save, and the expected tensors as safetensors files.

Started by tests/pytorch.rs and tests/import.rs.
"""

import argparse
import os
import sys
from collections import OrderedDict
from pathlib import Path

import numpy
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parent.parent / "parity"))
from reference import write_tensors  # noqa: E402


def flatten(saved: object, path: str, visited: set[int]) -> dict[str, torch.Tensor]:
    """Collects the float tensors in nested dicts, lists and tuples by their path; a container that occurs twice counts once."""
    if isinstance(saved, torch.Tensor):
        # num_batches_tracked is an integer and must be skipped.
        return {path: saved} if saved.is_floating_point() else {}
    if not isinstance(saved, dict | list | tuple) or id(saved) in visited:
        return {}
    visited.add(id(saved))
    tensors = {}
    for key, value in saved.items() if isinstance(saved, dict) else enumerate(saved):
        tensors |= flatten(value, f"{path}.{key}" if path else str(key), visited)
    return tensors


def save(directory: Path, name: str, saved: object, is_valid: bool) -> None:
    """Saves an object in both formats with both pickle protocols, and the expected tensors unless reading must fail."""
    torch.save(saved, directory / f"{name}.zip.pth")
    torch.save(saved, directory / f"{name}.zip4.pth", pickle_protocol=4)
    torch.save(saved, directory / f"{name}.legacy.pth", _use_new_zipfile_serialization=False)
    torch.save(saved, directory / f"{name}.legacy4.pth", pickle_protocol=4, _use_new_zipfile_serialization=False)
    if is_valid:
        write_tensors(directory / f"{name}.safetensors", flatten(saved, "", set()))


def network() -> nn.Module:
    return nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(16, 2))


def views() -> dict[str, torch.Tensor]:
    whole = torch.randn(6, 8)
    return {
        "whole": whole,
        "transposed": whole.t(),
        "permuted": torch.randn(2, 3, 4).permute(2, 0, 1),
        "part": whole[2:4, 1::3],
        "row": whole[3],
        "expanded": torch.randn(3, 1).expand(3, 5),
        "channels_last": torch.randn(2, 3, 4, 5).to(memory_format=torch.channels_last),
        "scalar": torch.tensor(2.5),
        "empty": torch.empty(0, 3),
        "the_same": whole,
    }


def checkpoint(state_dict: dict[str, torch.Tensor], key: str) -> dict[str, object]:
    """Builds a checkpoint like that of PyTorch's ImageNet example."""
    trained = network()
    optimizer = torch.optim.Adam(trained.parameters(), amsgrad=True)
    trained(torch.randn(2, 3, 4, 4)).sum().backward()
    optimizer.step()
    return {
        "epoch": 7,
        "arch": "resnet18",
        key: state_dict,
        "best_acc1": torch.tensor(93.5),
        "best_loss": numpy.float64(0.25),
        "confusion": numpy.ones((2, 2)),
        "loss": 1e-3,
        "seed": 2**80,
        "args": argparse.Namespace(lr=0.1, gpus=[0, 1], labels={"free", "blocked"}),
        "device": torch.device("cuda:0"),
        "output": Path("runs/7"),
        "size": torch.Size([224, 224]),
        "optimizer": optimizer.state_dict(),
        "scheduler": torch.optim.lr_scheduler.MultiStepLR(optimizer, [30, 60]).state_dict(),
    }


def good(directory: Path) -> None:
    state_dict = network().state_dict()
    save(directory, "state_dict", state_dict, True)
    save(directory, "plain_dict", dict(state_dict), True)
    # "under_state_dict.zip4" gives the first entry a name of 30 characters, which misleads zip readers that search for the
    # beginning of the archive.
    for key in ("state_dict", "model_state_dict", "model"):
        save(directory, f"under_{key}", checkpoint(state_dict, key), True)
    in_parallel = OrderedDict((f"module.{name}", tensor) for name, tensor in state_dict.items())
    save(directory, "data_parallel", checkpoint(in_parallel, "state_dict"), True)
    save(directory, "parameters", OrderedDict(network().named_parameters()), True)
    save(directory, "views", views(), True)
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        special = torch.tensor([0.1, -0.0, 1e-7, 6e4, float("inf"), -1.0 / 3.0], dtype=dtype)
        converted = {"special": special, "random": torch.randn(5, 7).to(dtype).t(), "count": torch.tensor(3)}
        save(directory, str(dtype), converted, True)


class Malicious:
    def __reduce__(self):
        return os.system, ("touch evil_was_executed",)


class OwnModel(nn.Module):
    pass


def bad(directory: Path) -> None:
    os.chdir(directory)
    save(directory, "evil", {"weight": torch.ones(2), "more": Malicious()}, False)
    save(directory, "whole_model", network(), False)
    save(directory, "own_model", OwnModel(), False)
    save(directory, "float8", {"weight": torch.ones(2).to(torch.float8_e5m2)}, False)
    save(directory, "complex", {"weight": torch.ones(2, dtype=torch.complex64)}, False)
    # What torch2trt's state_dict holds.
    engine = {"engine": bytearray(b"ftrt\0\xff"), "input_names": ["input_0"], "output_names": ["output_0"]}
    save(directory, "torch2trt", engine, False)
    save(directory, "negated", {"weight": torch.ones(2, dtype=torch.complex64).conj().imag}, False)


if __name__ == "__main__":
    torch.manual_seed(0)
    {"good": good, "bad": bad}[sys.argv[1]](Path(sys.argv[2]))
