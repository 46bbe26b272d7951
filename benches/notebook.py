"""The loop of JetBot's notebook train_model.ipynb, in Python: torchvision and torch. Started by benches/training.py.

    notebook.py DATASET EPOCHS WEIGHTS [HELD_OUT]

Trains AlexNet as the notebook does, for EPOCHS epochs, and prints JSON: the seconds of the loop, and the accuracy of its best
model on HELD_OUT. It starts from the convolutions in WEIGHTS, a safetensors file; what this file lacks starts at random.
"""

import copy
import json
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader, random_split
from torchvision import datasets, models, transforms

from programs import show_progress

BATCH_SIZE = 16
TEST_FRAMES = 50
AS_THE_NETWORK_WANTS = [
    transforms.Resize((224, 224)),
    transforms.ToTensor(),
    transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
]


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """The fp32 tensors of a file, which is eight bytes of length, a JSON header and the values."""
    data = path.read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    values = torch.frombuffer(bytearray(data[start:]), dtype=torch.float32)
    header = json.loads(data[8:start])
    header.pop("__metadata__", None)
    tensors = {}
    for name, tensor in header.items():
        begin, end = tensor["data_offsets"]
        tensors[name] = values[begin // 4 : end // 4].reshape(tensor["shape"])
    return tensors


def pretrained_alexnet(weights: Path, labels: int) -> tuple[models.AlexNet, list[str]]:
    """The network with a new last layer, and the names of the other tensors that the weights lack."""
    model = models.alexnet(weights=None)
    known = {name: value for name, value in read_safetensors(weights).items() if not name.startswith("classifier.6.")}
    missing = model.load_state_dict(known, strict=False).missing_keys
    model.classifier[6] = torch.nn.Linear(model.classifier[6].in_features, labels)
    return model, [name for name in missing if not name.startswith("classifier.6.")]


def right_ones(model: models.AlexNet, loader: DataLoader) -> int:
    return sum(int((model(images).argmax(1) == labels).sum()) for images, labels in loader)


def run_epoch(model: models.AlexNet, optimizer: torch.optim.Optimizer, train: DataLoader, test: DataLoader) -> int:
    """One round of the notebook's loop. It calls neither eval() nor no_grad(), so the test goes through dropout, too."""
    for images, labels in train:
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
    return right_ones(model, test)


def accuracy_on(model: models.AlexNet, directory: Path) -> float:
    held_out = datasets.ImageFolder(directory, transforms.Compose(AS_THE_NETWORK_WANTS))
    model.eval()
    with torch.no_grad():
        return right_ones(model, DataLoader(held_out, batch_size=BATCH_SIZE)) / len(held_out)


def main(directory: Path, epochs: int, weights: Path, held_out: Path | None) -> None:
    torch.manual_seed(1)
    jitter = transforms.ColorJitter(0.1, 0.1, 0.1, 0.1)
    dataset = datasets.ImageFolder(directory, transforms.Compose([jitter, *AS_THE_NETWORK_WANTS]))
    tested = min(TEST_FRAMES, len(dataset) // 4)
    train, test = (
        DataLoader(part, batch_size=BATCH_SIZE, shuffle=True, num_workers=0)
        for part in random_split(dataset, [len(dataset) - tested, tested])
    )
    model, at_random = pretrained_alexnet(weights, len(dataset.classes))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)
    seconds, best, most_right = [], model, -1
    for epoch in range(1, epochs + 1):
        show_progress(f"notebook, epoch {epoch} of {epochs}")
        start = time.perf_counter()
        right = run_epoch(model, optimizer, train, test)
        seconds.append(time.perf_counter() - start)
        # The notebook writes a file here. In the first epochs it would do so more often than later, so it is not timed.
        if right > most_right:
            best, most_right = copy.deepcopy(model), right
    show_progress("")
    accuracy = None if held_out is None else accuracy_on(best, held_out)
    result = {"epochs": epochs, "epoch_seconds": seconds, "test_frames": tested, "accuracy": accuracy}
    print(json.dumps(result | {"started_at_random": at_random}))


if __name__ == "__main__":
    match sys.argv[1:]:
        case [directory, epochs, weights, *held_out] if len(held_out) <= 1:
            main(Path(directory), int(epochs), Path(weights), Path(held_out[0]) if held_out else None)
        case _:
            sys.exit(__doc__)
