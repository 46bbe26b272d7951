"""Share of frames that the middleware delivers from a camera to the node: part of `make bench`.

640x480 in rgb8 at 30 Hz, with the defaults of Fast DDS, with the profile of the package, and over UDP only, as between two machines.
Counts the frames that the node receives; it has no model.
"""

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "ros"))

from harness import PROFILE_VARIABLE, REPOSITORY  # noqa: E402
from programs import show_progress  # noqa: E402
from worlds import Received, world_in  # noqa: E402

LOG = REPOSITORY / "build" / "image_loss.log"
RELIABILITIES = ("best_effort", "reliable", "auto")
RATE_HZ = 30
SECONDS = 15.0
PROFILE = REPOSITORY / "config" / "fastdds.xml"
# Environment variables of camera and node.
ENVIRONMENTS = {
    "Fast DDS as it comes": {PROFILE_VARIABLE: ""},
    "with config/fastdds.xml": {PROFILE_VARIABLE: str(PROFILE)},
    "UDP alone": {PROFILE_VARIABLE: "", "FASTDDS_BUILTIN_TRANSPORTS": "UDPv4"},
}


def share_received(environment: dict[str, str], reliability: str) -> float:
    """Share of the camera's frames that the node receives, between two reports on /diagnostics."""
    with tempfile.TemporaryDirectory() as directory, world_in(Path(directory), LOG) as world:
        world.env |= environment
        world.start_node(image_reliability=reliability)
        diagnostics = world.diagnostics()
        camera = world.start_camera("--rate", str(RATE_HZ), "--encoding", "rgb8", size="640x480")
        received = Received(world, diagnostics, camera)
        world.wait_for(lambda: received.now()[0] > 0, "the first frame", camera)
        return received.share(SECONDS, RATE_HZ)


def measure() -> dict[str, dict[str, float]]:
    """Share of received frames, by environment and reliability."""
    rows: dict[str, dict[str, float]] = {}
    LOG.unlink(missing_ok=True)
    for name, environment in ENVIRONMENTS.items():
        show_progress(f"image loss: {name}")
        rows[name] = {kind: share_received(environment, kind) for kind in RELIABILITIES}
    show_progress("")
    return rows


def report(rows: dict[str, dict[str, float]]) -> str:
    """The figures as a table."""
    lines = [f"{f'640x480 at {RATE_HZ} Hz, frames received':<44}{'best effort':>12}{'reliable':>10}{'auto':>8}"]
    for name, row in rows.items():
        lines.append(f"{name:<44}{row['best_effort']:>12.0%}{row['reliable']:>10.0%}{row['auto']:>8.0%}")
    return "\n".join(lines)
