#!/usr/bin/env python3
"""Checks the package on this machine's NVIDIA GPU: `make gpu-check`."""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path

TORCH_PEER = Path(__file__).with_name("gpu_check_torch.py")
IMAGE_SUFFIXES = {".jpg", ".jpeg", ".png"}
# Seconds that one command may take.
MAX_SECONDS = 90
BATCHES = [1, 2, 4, 8, 16]
# Largest difference of a probability to ONNX Runtime on the CPU in fp32.
BOUNDS = {"fp32": 0.001, "tf32": 0.01, "fp16": 0.01, "int8": 0.1}
# torchvision resizes images in another way.
PEER_BOUND = 0.02
# In the message about a runtime that is installed without support for GPUs, which is no failure.
NOT_INSTALLED = "is built without CUDA"
NO_GPU = {"CUDA_VISIBLE_DEVICES": ""}

HELP = """\
Trains on photos on the CPU and on the GPU, classifies them on both in every precision, and compares with the CPU's
predictions and with Python's torch. Measures the time of the network and of a frame, and memory. Takes under five minutes.
A machine without a GPU is checked as far as possible."""

EPILOG = """\
The exit status is 1 if a check failed. What could not be shown, for example for lack of a GPU or of TensorRT, is listed and
does not count as a failure. Results are written to OUTPUT/gpu_check.json after each step."""


def main() -> int:
    """Runs all steps; returns the exit status."""
    arguments = parse_arguments()
    sys.stdout.reconfigure(line_buffering=True, errors="replace")
    with tempfile.TemporaryDirectory() as directory:
        check = GpuCheck(arguments, Path(directory))
        for step in (
            check.machine,
            check.train_last_layer,
            check.missing_gpu,
            check.predictions,
            check.hands,
            check.python_torch,
            check.fallback,
            check.full_gpu,
            check.train_all_layers,
            check.batches,
        ):
            check.do(step)
            check.save()
    print(check.table())
    print(check.summary())
    check.save()
    return 1 if any(outcome.status == "failed" for outcome in check.outcomes) else 0


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=HELP, epilog=EPILOG, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--photos", type=Path, default=Path("../shared/photos"), help="one directory of images per label")
    parser.add_argument("--program", default="thumb_gesture", help="default: thumb_gesture")
    parser.add_argument(
        "--python", default=os.environ.get("THUMB_GESTURE_TEST_PYTHON"), help="a Python with torch and torchvision"
    )
    parser.add_argument("--onnxruntime", type=Path, help="libonnxruntime.so; default: the one in ORT_DYLIB_PATH")
    parser.add_argument("--output", type=Path, default=Path("build"), help="default: build")
    parser.add_argument("--seconds", type=float, default=280, help="steps that would start later are left out; default: 280")
    parser.add_argument("train_options", nargs="*", metavar="-- OPTION", help="more options of the trainings")
    arguments = parser.parse_args()
    if arguments.onnxruntime:
        os.environ["ORT_DYLIB_PATH"] = str(arguments.onnxruntime.resolve())
    if not any(arguments.photos.glob("*/*")):
        parser.error(f"no photos in {arguments.photos}; set --photos to a directory with one directory of photos per label")
    return arguments


@dataclass
class Variant:
    """A way to run the model, and what was measured."""

    name: str
    options: list[str]
    backend: str = ""
    reason: str = ""
    different_labels: int | None = None
    max_difference: float | None = None
    host_mb: float | None = None
    gpu_mb: float | None = None
    start_seconds: float | None = None
    # By batch size: percentiles of the milliseconds per frame.
    forward_ms: dict[int, dict[str, float]] = field(default_factory=dict)
    frame_ms: dict[int, dict[str, float]] = field(default_factory=dict)

    @property
    def is_on_gpu(self) -> bool:
        return "--require-gpu" in self.options or "cuda" in self.options


# The network for whole images decides, whose predictions and times are compared.
BY_IMAGE = ["--recognizer", "image"]
ON_CPU = ["--device", "cpu"]
ON_GPU = ["--device", "cuda", "--require-gpu"]


def variants() -> list[Variant]:
    """All runtimes and precisions; the first one is the reference."""
    cpu = [
        Variant("onnx, CPU, fp32", [*ON_CPU, "--precision", "fp32"]),
        Variant("onnx, CPU, int8", [*ON_CPU, "--precision", "int8"]),
    ]
    gpu = [
        Variant("onnx, GPU, fp32", [*ON_GPU, "--precision", "fp32"]),
        Variant("onnx, GPU, fp16", [*ON_GPU, "--precision", "fp16"]),
        Variant("onnx, GPU, tf32", [*ON_GPU, "--precision", "tf32"]),
    ]
    return cpu + gpu


@dataclass
class Outcome:
    """Result of one check: passed, failed or not shown."""

    name: str
    status: str
    detail: str


@dataclass
class Finished:
    """A command that ended, or was ended after `MAX_SECONDS`."""

    status: int
    output: str
    error: str
    seconds: float
    host_mb: float
    gpu_mb: float | None

    def message(self) -> str:
        """The error that the program reported."""
        return self.error[max(self.error.rfind("Error: "), 0) :].strip() or f"exit status {self.status}"


class OutOfTime(Exception):
    """A command was ended because the time of the check is over."""


class GpuMemory:
    """Watches the GPU's memory in use, in MB, while commands run."""

    def __init__(self) -> None:
        self.peak = self.now = None
        command = ["nvidia-smi", "-i", "0", "--query-gpu=memory.used", "--format=csv,noheader,nounits", "-lms", "50"]
        try:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        except OSError:
            return
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self) -> None:
        for line in self.process.stdout:
            if line.strip().isdigit():
                self.now = int(line)
                self.peak = max(self.peak or 0, self.now)


class GpuCheck:
    """The steps of the check and their results."""

    def __init__(self, arguments: argparse.Namespace, directory: Path) -> None:
        self.arguments = arguments
        self.store = directory / "store"
        self.directory = directory
        self.photos = sorted(
            file for file in arguments.photos.resolve().glob("*/*") if file.suffix.lower() in IMAGE_SUFFIXES
        )
        self.end = time.monotonic() + arguments.seconds
        self.memory = GpuMemory()
        self.has_gpu = False
        self.facts: dict[str, str] = {}
        self.trainings: list[dict] = []
        self.variants = variants()
        self.peers: list[Variant] = []
        self.outcomes: list[Outcome] = []
        self.reference: dict[str, dict[str, float]] = {}
        self.commands: list[dict] = []

    # Running commands

    def run(self, *command: object, environment: dict[str, str] | None = None) -> Finished:
        """Runs a command and measures it; it is ended after `MAX_SECONDS` or at the end of the check."""
        parts = [str(part) for part in command]
        before = self.memory.peak = self.memory.now
        start = time.monotonic()
        limit = min(start + MAX_SECONDS, self.end)
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as error:
            try:
                process = subprocess.Popen(
                    parts, stdin=subprocess.DEVNULL, stdout=output, stderr=error, env=os.environ | (environment or {})
                )
            except OSError as cause:
                return Finished(127, "", str(cause), 0.0, 0.0, None)
            # wait4 gives the memory of this process alone.
            while (ended := os.wait4(process.pid, os.WNOHANG))[0] == 0:
                if time.monotonic() > limit:
                    process.kill()
                time.sleep(0.01)
            process.returncode = os.waitstatus_to_exitcode(ended[1])
            output.seek(0)
            error.seek(0)
            finished = Finished(
                process.returncode,
                output.read().decode(errors="replace"),
                error.read().decode(errors="replace"),
                time.monotonic() - start,
                ended[2].ru_maxrss / 1e3,
                None if before is None or self.memory.peak is None else float(self.memory.peak - before),
            )
        if finished.status < 0 and time.monotonic() > limit:
            finished.error += f"\nError: ended after {finished.seconds:.0f} s"
        self.commands.append(
            {
                "command": [part for part in parts if Path(part) not in self.photos],
                "environment": environment or {},
                "status": finished.status,
                "seconds": round(finished.seconds, 2),
                "error": finished.error[-4000:],
            }
        )
        if finished.status < 0 and time.monotonic() > self.end:
            raise OutOfTime
        return finished

    def thumb_gesture(self, *command: object, environment: dict[str, str] | None = None) -> Finished:
        return self.run(self.arguments.program, *command, environment=environment)

    def is_late(self, name: str) -> bool:
        """Whether no time is left for a step, which is then not shown."""
        if time.monotonic() < self.end - 5:
            return False
        self.note(name, "not shown", f"no time was left of {self.arguments.seconds:.0f} s")
        return True

    def note(self, name: str, status: str, detail: str) -> None:
        self.outcomes.append(Outcome(name, status, detail))
        print(f"{status:<10} {name}: {shortened(detail)}")

    def expect(self, name: str, is_met: bool, detail: str) -> None:
        self.note(name, "passed" if is_met else "failed", detail)

    def note_missing(self, name: str, reason: str) -> None:
        """Notes that a runtime does not run on the GPU: a failure only if there is a GPU and the runtime supports it."""
        if not self.has_gpu:
            self.note(name, "not shown", "this machine has no NVIDIA GPU")
            return
        # TensorRT is tried before CUDA.
        is_installed = NOT_INSTALLED not in reason.rpartition("/cuda: ")[2]
        self.note(name, "failed" if is_installed else "not shown", reason)

    def do(self, step: Callable[[], None]) -> None:
        """Runs a step; the later ones run even if it cannot read what a command printed."""
        try:
            step()
        except OutOfTime:
            self.note(step.__name__, "not shown", f"no time was left of {self.arguments.seconds:.0f} s")
        except (OSError, ValueError, KeyError, StopIteration) as error:
            self.note(step.__name__, "failed", f"{type(error).__name__}: {error}")

    # Steps

    def machine(self) -> None:
        """What the machine has."""
        fields = ["name", "driver_version", "compute_cap", "memory.total", "power.limit"]
        command = ["nvidia-smi", "-i", "0", f"--query-gpu={','.join(fields)}", "--format=csv,noheader"]
        found = self.run(*command)
        self.has_gpu = found.status == 0
        gpu = found.output.strip() if self.has_gpu else f"none: nvidia-smi: {found.message()}"
        processor = next(
            (line.partition(":")[2].strip() for line in lines_of("/proc/cpuinfo") if line.startswith("model name")),
            platform.machine(),
        )
        system = next(
            (line.partition("=")[2].strip('"') for line in lines_of("/etc/os-release") if line.startswith("PRETTY_NAME")),
            platform.system(),
        )
        self.facts = {
            "GPU": gpu,
            "processor": f"{processor}, {len(os.sched_getaffinity(0))} cores",
            "system": f"{system}, Linux {platform.release()}",
            "program": self.thumb_gesture("--version").output.strip(),
            "ONNX Runtime": os.environ.get("ORT_DYLIB_PATH", "libonnxruntime.so"),
            "photos": f"{len(self.photos)} in {self.arguments.photos}",
        }
        if self.arguments.python:
            self.facts["Python"] = self.run(self.arguments.python, TORCH_PEER, "version").output.strip() or "no torch"
        for name, fact in self.facts.items():
            print(f"{name:<14} {fact}")

    def train_last_layer(self) -> None:
        self.compare_trainings("last_layer", ["--strategy", "last_layer"], 0.03)

    def train_all_layers(self) -> None:
        # Dropout draws other random numbers on a GPU.
        options = ["--strategy", "full", "--epochs", "3", "--folds", "1"]
        self.compare_trainings("full", options, 0.15)

    def compare_trainings(self, name: str, options: list[str], bound: float) -> None:
        """Trains on the CPU, then on the GPU. The first model of all is the one that is classified with later."""
        if self.is_late(f"training, {name}"):
            return
        cpu = self.train(name, "cpu", options, NO_GPU)
        if cpu is None or self.is_late(f"training, {name}, GPU"):
            return
        gpu = self.train(name, "cuda", options, {})
        if gpu is None:
            return
        difference = abs(gpu["accuracy"] - cpu["accuracy"])
        detail = f"CPU {cpu['accuracy']:.1%} in {cpu['train_seconds']:.1f} s, GPU {gpu['accuracy']:.1%} in {gpu['train_seconds']:.1f} s"
        self.expect(f"training, {name}, same accuracy", difference <= bound, f"{detail}, may differ by {bound:.0%}")

    def train(self, name: str, device: str, options: list[str], environment: dict[str, str]) -> dict | None:
        store = self.store if not self.trainings else self.directory / f"{name}_{device}"
        command = ["train", "--json", "--dataset", self.arguments.photos, "--store", store, *options]
        command += self.arguments.train_options
        if device == "cuda" and not self.has_gpu:
            self.note_missing(f"training, {name}, GPU", "")
            return None
        finished = self.thumb_gesture(*command, environment=environment)
        if finished.status != 0:
            self.note(f"training, {name}, {device}", "failed", finished.message())
            return None
        summary = json.loads(finished.output)
        report = json.loads(Path(summary["report"]).with_suffix(".json").read_text())
        used = next(setting["value"] for setting in report["settings"] if setting["name"] == "device")
        keys = ["strategy", "accuracy", "interval", "epochs", "train_seconds", "timings"]
        result = {key: summary[key] for key in keys}
        memory = {"host_mb": finished.host_mb, "gpu_mb": finished.gpu_mb}
        self.trainings.append({"name": name, "device": used, "wall_seconds": finished.seconds, **result, **memory})
        gpu_mb = "" if finished.gpu_mb is None else f", {finished.gpu_mb:.0f} MB on the GPU"
        detail = f"on {used}, {finished.seconds:.1f} s, {finished.host_mb:.0f} MB{gpu_mb}"
        self.expect(f"training, {name}, {device}", used == device, detail)
        return result if used == device else None

    def missing_gpu(self) -> None:
        """`--require-gpu` fails and `--device cuda` falls back if no GPU is visible."""
        bench = ["bench", "--json", *BY_IMAGE, "--frames", "3", "--store", self.store]
        report = self.unusable_gpu("without a GPU", bench, ["--require-gpu"], NO_GPU)
        reason = report.get("reason", "")
        self.expect("reason if there is no GPU", "onnx/cuda: " in reason, reason)

    def unusable_gpu(
        self, name: str, bench: list[object], require: list[str], environment: dict[str, str] | None = None
    ) -> dict:
        """`--require-gpu` fails and `--device cuda` falls back to the CPU; returns the report of the latter."""
        required = self.thumb_gesture(*bench, *require, environment=environment)
        is_refused = required.status == 1 and "require_gpu is set" in required.error
        self.expect(f"{name}, --require-gpu", is_refused, required.message())
        requested = self.thumb_gesture(*bench, "--device", "cuda", environment=environment)
        report = json_of(requested)
        detail = f"{report.get('backend')}: {report.get('reason', requested.message())}"
        self.expect(f"{name}, --device cuda", "/cpu/" in report.get("backend", ""), detail)
        return report

    def predictions(self) -> None:
        """Backend, predictions, memory and the times of single frames of each variant."""
        for variant in self.variants:
            if self.is_late(variant.name):
                continue
            if variant.is_on_gpu and not self.has_gpu:
                self.note_missing(variant.name, "")
                continue
            if self.bench(variant, 1) and self.is_as_requested(variant):
                self.compare(variant)
            self.save()

    def is_as_requested(self, variant: Variant) -> bool:
        """Whether a variant runs in the precision of its options; if not, its times are those of another variant."""
        requested = variant.options[variant.options.index("--precision") + 1]
        if variant.backend.endswith(f"/{requested}"):
            return True
        variant.forward_ms.clear()
        self.note(variant.name, "not shown", f"{variant.backend}: {variant.reason}")
        return False

    def compare(self, variant: Variant) -> None:
        command = ["predict", "--json", *BY_IMAGE, "--store", self.store, *variant.options, *self.photos]
        finished = self.thumb_gesture(*command)
        if finished.status != 0:
            self.note(variant.name, "failed", finished.message())
            return
        predictions = [json.loads(line) for line in finished.output.splitlines()]
        self.check_probabilities(variant, {each["file"]: each["probabilities"] for each in predictions})

    def check_probabilities(self, variant: Variant, found: dict[str, dict[str, float]]) -> None:
        """Compares probabilities with those of the reference, which the first call sets."""
        self.reference = self.reference or found
        runtime, _, precision = variant.backend.split("/")
        bound = BOUNDS[precision] + (PEER_BOUND if runtime == "python" else 0)
        variant.different_labels, variant.max_difference, clear_flips = 0, 0.0, 0
        for file, expected in self.reference.items():
            probabilities = found[file]
            variant.max_difference = max(
                variant.max_difference, *(abs(probabilities[label] - expected[label]) for label in expected)
            )
            if max(probabilities, key=probabilities.get) != max(expected, key=expected.get):
                variant.different_labels += 1
                second, first = sorted(expected.values())[-2:]
                clear_flips += first - second > 2 * bound
        detail = (
            f"{variant.backend}, {variant.different_labels} of {len(self.reference)} labels differ, "
            f"probabilities by up to {variant.max_difference:.1e}, may be {bound}"
        )
        self.expect(variant.name, clear_flips == 0 and variant.max_difference <= bound, detail)

    def hands(self) -> None:
        """The recognizers that find hands: the networks for hands on the GPU, and that for their crops."""
        recognizers = {
            "built-in recognizer": [],
            "recognizer hand": ["--store", self.store, "--recognizer", "hand", "--precision", "fp32"],
        }
        for name, options in recognizers.items():
            if self.is_late(name):
                continue
            predict = ["predict", "--json", *options, *self.photos]
            cpu, gpu = (self.thumb_gesture(*predict, *device) for device in (ON_CPU, ON_GPU))
            if cpu.status != 0:
                self.note(f"{name}, CPU", "failed", cpu.message())
                continue
            if gpu.status != 0:
                self.note_missing(f"{name}, GPU", gpu.message())
                continue
            expected, found = ([json.loads(line) for line in each.output.splitlines()] for each in (cpu, gpu))
            # A hand that is found in another place on the GPU, by the last bit of a score, may change a prediction.
            same = sum(a["label"] == b["label"] for a, b in zip(expected, found, strict=True))
            seconds = f"CPU {cpu.seconds:.1f} s, GPU {gpu.seconds:.1f} s for {len(expected)} photos"
            detail = f"{len(expected) - same} of {len(expected)} labels differ, {seconds}"
            self.expect(f"{name}, GPU", same >= 0.97 * len(expected), detail)

    def bench(self, variant: Variant, batch: int) -> bool:
        """Measures a variant; returns whether it ran."""
        frames = 1000 if variant.is_on_gpu else 200
        command = ["bench", "--json", *BY_IMAGE, "--store", self.store, "--frames", frames, "--batch", batch]
        command += variant.options
        finished = self.thumb_gesture(*command)
        report = json_of(finished)
        if not report:
            self.note_missing(f"{variant.name}, batch {batch}", finished.message())
            return False
        variant.forward_ms[batch], variant.frame_ms[batch] = report["forward_ms"], report["frame_ms"]
        if batch == 1:
            variant.backend, variant.reason = report["backend"], report["reason"]
            variant.host_mb = finished.host_mb
            variant.gpu_mb = finished.gpu_mb if variant.is_on_gpu else None
            measured = frames * (report["frame_ms"]["p50"]) / 1e3
            variant.start_seconds = max(finished.seconds - measured, 0.0)
        return True

    def python_torch(self) -> None:
        """The same weights in Python's torch."""
        if not self.arguments.python:
            self.note("Python's torch", "not shown", "there is no Python with torch; set --python")
            return
        (model,) = self.store.glob("models/*")
        for device, precision in (("cpu", "fp32"), ("cuda", "fp32"), ("cuda", "fp16")):
            name = f"Python torch, {device}, {precision}"
            if self.is_late(name):
                continue
            if device == "cuda" and not self.has_gpu:
                self.note_missing(name, "")
                continue
            batches = BATCHES if device == "cuda" else [1]
            command = [self.arguments.python, TORCH_PEER, "run", model, device, precision, json.dumps(batches)]
            finished = self.run(*command, *self.photos)
            report = json_of(finished)
            if not report:
                self.note(name, "failed", finished.message())
                continue
            peer = Variant(name, [device], backend=f"python/{device}/{precision}")
            peer.host_mb = finished.host_mb
            peer.gpu_mb = finished.gpu_mb if peer.is_on_gpu else None
            peer.forward_ms = {int(batch): ms for batch, ms in report["forward_ms"].items()}
            self.peers.append(peer)
            self.check_probabilities(peer, report["probabilities"])

    def fallback(self) -> None:
        """What is reported if a better runtime is missing, and ONNX Runtime's CUDA provider as a plugin."""
        if not self.has_gpu:
            self.note_missing("reason if TensorRT is missing", "")
            return
        bench = ["bench", "--json", *BY_IMAGE, "--frames", "50", "--store", self.store]
        report = json_of(self.thumb_gesture(*bench, "--device", "cuda"))
        backend, reason = report.get("backend", ""), report.get("reason", "")
        is_explained = backend.startswith("onnx/tensorrt") or "onnx/tensorrt: " in reason
        self.expect("reason if TensorRT is missing", is_explained, f"{backend}: {reason}")
        library = Path(self.facts["ONNX Runtime"]).with_name("libonnxruntime_providers_cuda.so")
        if library.exists():
            finished = self.thumb_gesture(*bench, "--provider-library", library, "--require-gpu")
            report = json_of(finished)
            detail = f"{report.get('backend')}: {report.get('reason', finished.message())}"
            is_plugin = "ExecutionProvider" in report.get("backend", "")
            self.note("CUDA provider as a plugin", "passed" if is_plugin else "not shown", detail)

    def full_gpu(self) -> None:
        """What is reported while another program has all of the GPU's memory."""
        name = "GPU without free memory"
        if not self.has_gpu or not self.arguments.python:
            self.note(name, "not shown", "needs an NVIDIA GPU and a Python with torch")
            return
        command = [self.arguments.python, TORCH_PEER, "fill"]
        with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as peer:
            free = peer.stdout.readline().strip()
            bench = ["bench", "--json", *BY_IMAGE, "--frames", "3", "--store", self.store, "--precision", "fp32"]
            self.unusable_gpu(f"{name} ({free})", bench, ON_GPU)
            peer.stdin.close()

    def batches(self) -> None:
        """The times of larger batches, of what ran with single frames."""
        for batch in BATCHES[1:]:
            for variant in self.variants:
                is_measured = variant.forward_ms and (variant.is_on_gpu or batch == 8)
                if is_measured and self.is_late(f"batches of {batch} and more frames"):
                    return
                if is_measured:
                    self.bench(variant, batch)
            self.save()

    # Results

    def rows(self) -> Iterator[Variant]:
        return (variant for variant in [*self.variants, *self.peers] if variant.forward_ms)

    def table(self) -> str:
        """All measurements, in milliseconds per frame."""
        headers = "".join(f"{f'batch {batch}':>10}" for batch in BATCHES[1:])
        lines = [
            "",
            f"{'':<32}{'labels':>8}{'probabi-':>10}{'forward, ms':>18}{'frame, ms':>18}{'forward, ms per frame':>40}{'memory, MB':>16}",
            f"{'':<32}{'differ':>8}{'lities by':>10}{'p50 / p99':>18}{'p50 / p99':>18}{headers}{'host':>8}{'GPU':>8}",
        ]
        for row in self.rows():
            later = "".join(f"{median(row.forward_ms.get(batch)):>10}" for batch in BATCHES[1:])
            difference = "" if row.max_difference is None else f"{row.max_difference:.1e}"
            flips = "" if row.different_labels is None else row.different_labels
            gpu_mb = "" if row.gpu_mb is None else f"{row.gpu_mb:.0f}"
            lines.append(
                f"{row.name:<32}{flips:>8}{difference:>10}{both(row.forward_ms.get(1)):>18}{both(row.frame_ms.get(1)):>18}"
                f"{later}{row.host_mb or 0:>8.0f}{gpu_mb:>8}"
            )
        return "\n".join(lines)

    def summary(self) -> str:
        counts = {status: 0 for status in ("passed", "failed", "not shown")}
        for outcome in self.outcomes:
            counts[outcome.status] += 1
        lines = ["", ", ".join(f"{count} {status}" for status, count in counts.items())]
        lines += [f"{each.status}: {each.name}: {shortened(each.detail)}" for each in self.outcomes if each.status != "passed"]
        if not self.has_gpu:
            lines.append("this machine has no NVIDIA GPU: nothing above was computed on one")
        return "\n".join(lines)

    def save(self) -> None:
        """Writes the results, so that they are there even if the check is ended."""
        self.arguments.output.mkdir(parents=True, exist_ok=True)
        results = {
            "machine": self.facts,
            "trainings": self.trainings,
            "variants": [asdict(row) for row in self.rows()],
            "checks": [asdict(outcome) for outcome in self.outcomes],
            "commands": self.commands,
        }
        (self.arguments.output / "gpu_check.json").write_text(json.dumps(results, indent=1, default=str))


def lines_of(path: str) -> list[str]:
    return Path(path).read_text(errors="replace").splitlines() if Path(path).exists() else []


def json_of(finished: Finished) -> dict:
    """The object that a command printed; empty if it failed."""
    return json.loads(finished.output) if finished.status == 0 and finished.output.strip() else {}


def shortened(text: str, length: int = 400) -> str:
    text = " ".join(text.split())
    return text if len(text) <= length else f"{text[:length]}…"


def median(percentiles: dict[str, float] | None) -> str:
    return f"{percentiles['p50']:.2f}" if percentiles else ""


def both(percentiles: dict[str, float] | None) -> str:
    return f"{percentiles['p50']:.2f} / {percentiles['p99']:.2f}" if percentiles else ""


if __name__ == "__main__":
    sys.exit(main())
