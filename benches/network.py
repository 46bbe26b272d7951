"""Share of frames that reach the node from a camera on another machine, and recovery of the link: `make network-bench` (needs root).

640x480 at 30 Hz over a link with a delay of 20 ms, between network namespaces (tests/network). Prints the tables of
docs/guides/network.md.
"""

import contextlib
import io
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests" / "network"))

from namespaces import PROFILE, NetworkWorld, missing, network_world  # noqa: E402
from worlds import Received  # noqa: E402

from harness import Program  # noqa: E402

RATE_HZ = 30
SECONDS = 10.0
DELAY = 0.02
# Without frames for this time, there will be none.
NO_FRAME_SECONDS = 15.0
CONDITIONS: dict[str, dict[str, float]] = {
    "no loss": {},
    "1 % of the packets lost": {"loss": 0.01},
    "5 % of the packets lost": {"loss": 0.05},
    "20 Mbit/s": {"rate": 20e6 / 8},
}
PROFILES = {"no profile": "", "network profile": str(PROFILE)}
INTERRUPTIONS = [10.0, 30.0]


@contextlib.contextmanager
def quiet_world(profile: str) -> Iterator[NetworkWorld]:
    """Three machines, of which camera and node have this profile. What the programs print is dropped."""
    with tempfile.TemporaryDirectory() as directory, contextlib.redirect_stdout(io.StringIO()):
        with network_world(Path(directory), profile) as world:
            yield world


def start_camera(world: NetworkWorld, transport: str) -> Program:
    """Starts the camera."""
    options = ["--compressed"] if transport == "compressed" else []
    return world.start_camera("--rate", str(RATE_HZ), "--encoding", "rgb8", *options, size="640x480")


def share_received(profile: str, transport: str, reliability: str, conditions: dict[str, float]) -> float:
    """Share of the camera's frames that the node receives, between two reports on /diagnostics."""
    with quiet_world(profile) as world:
        world.network.set("camera", delay=DELAY, **conditions)
        world.start_node(image_transport=transport, image_reliability=reliability)
        diagnostics = world.diagnostics()
        camera = start_camera(world, transport)
        received = Received(world, diagnostics, camera)
        deadline = time.monotonic() + NO_FRAME_SECONDS
        while not received.now()[0]:
            if time.monotonic() > deadline:
                return 0.0
        world.spin_for(2.0)
        return received.share(SECONDS, RATE_HZ)


def recovery(seconds: float) -> tuple[float, float]:
    """Seconds from the interruption of the camera's link to the stale gesture, and from its end to the next gesture."""
    with quiet_world(str(PROFILE)) as world:
        world.start_node(image_transport="compressed")
        gestures = world.gestures()
        start_camera(world, "compressed")
        world.wait_for(lambda: len(gestures) > 60, "gestures")
        world.network.set("camera", is_up=False)
        began = time.monotonic()
        world.wait_for(lambda: gestures[-1].reason == "stale", "a stale gesture")
        stale = time.monotonic() - began
        world.spin_for(seconds - stale)
        world.network.set("camera")
        began = time.monotonic()
        world.wait_for(lambda: gestures[-1].reason != "stale", "a gesture", timeout=60.0)
        return stale, time.monotonic() - began


def main() -> None:
    """Prints the tables."""
    if reason := missing():
        sys.exit(reason)
    print(f"| transport, profile, reliability | {' | '.join(CONDITIONS)} |")
    print("|---|" + "---|" * len(CONDITIONS))
    for transport in ("compressed", "raw"):
        for profile, file in PROFILES.items():
            for reliability in ("reliable", "best_effort"):
                shares = (
                    f"{share_received(file, transport, reliability, conditions):.0%}".replace("%", " %")
                    for conditions in CONDITIONS.values()
                )
                print(f"| {transport}, {profile}, {reliability.replace('_', ' ')} | {' | '.join(shares)} |", flush=True)
    print("\n| interruption | stale after | gestures again after |\n|---|---|---|")
    for seconds in INTERRUPTIONS:
        stale, again = recovery(seconds)
        print(f"| {seconds:.0f} s | {stale:.1f} s | {again:.1f} s |", flush=True)


if __name__ == "__main__":
    main()
