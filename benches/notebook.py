"""The training loop of JetBot's notebook train_model.ipynb, with torchvision and torch. Started by benches/training.py.

    notebook.py DATASET EPOCHS WEIGHTS [HELD_OUT]

Trains AlexNet as the notebook does, for EPOCHS epochs, and prints JSON: the seconds per epoch, and the accuracy of the best model on
HELD_OUT. Starts from the weights in the safetensors file WEIGHTS; layers that it lacks start with random weights.
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
PREPROCESSING = [
    transforms.Resize((224, 224)),
    transforms.ToTensor(),
    transforms.Normalize([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]),
]


def read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    """Reads the fp32 tensors of a file: eight bytes of length, a JSON header and the values."""
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
    """AlexNet with a new last layer, and the names of the other tensors that the weights lack."""
    model = models.alexnet(weights=None)
    known = {name: value for name, value in read_safetensors(weights).items() if not name.startswith("classifier.6.")}
    missing = model.load_state_dict(known, strict=False).missing_keys
    model.classifier[6] = torch.nn.Linear(model.classifier[6].in_features, labels)
    return model, [name for name in missing if not name.startswith("classifier.6.")]


def count_correct(model: models.AlexNet, loader: DataLoader) -> int:
    return sum(int((model(images).argmax(1) == labels).sum()) for images, labels in loader)


def run_epoch(model: models.AlexNet, optimizer: torch.optim.Optimizer, train: DataLoader, test: DataLoader) -> int:
    """One epoch of the notebook. Like the notebook, it calls neither eval() nor no_grad(), so dropout is active in the test."""
    for images, labels in train:
        optimizer.zero_grad()
        F.cross_entropy(model(images), labels).backward()
        optimizer.step()
    return count_correct(model, test)


def accuracy_on(model: models.AlexNet, directory: Path) -> float:
    held_out = datasets.ImageFolder(directory, transforms.Compose(PREPROCESSING))
    model.eval()
    with torch.no_grad():
        return count_correct(model, DataLoader(held_out, batch_size=BATCH_SIZE)) / len(held_out)


def main(directory: Path, epochs: int, weights: Path, held_out: Path | None) -> None:
    torch.manual_seed(1)
    jitter = transforms.ColorJitter(0.1, 0.1, 0.1, 0.1)
    dataset = datasets.ImageFolder(directory, transforms.Compose([jitter, *PREPROCESSING]))
    tested = min(TEST_FRAMES, len(dataset) // 4)
    train, test = (
        DataLoader(part, batch_size=BATCH_SIZE, shuffle=True, num_workers=0)
        for part in random_split(dataset, [len(dataset) - tested, tested])
    )
    model, at_random = pretrained_alexnet(weights, len(dataset.classes))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.001, momentum=0.9)
    seconds, best, most_correct = [], model, -1
    for epoch in range(1, epochs + 1):
        show_progress(f"notebook, epoch {epoch} of {epochs}")
        start = time.perf_counter()
        correct = run_epoch(model, optimizer, train, test)
        seconds.append(time.perf_counter() - start)
        # The notebook saves the model here, more often in the first epochs than later. Not included in the time.
        if correct > most_correct:
            best, most_correct = copy.deepcopy(model), correct
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
