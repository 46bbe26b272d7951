"""/diagnostics, as a generic monitor receives it (REP-107)."""

from __future__ import annotations

import time

import numpy
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from sensor_msgs.msg import Image

from harness import CAMERA, NODE, World
from images import raw

LEVELS = {
    DiagnosticStatus.OK: "OK",
    DiagnosticStatus.WARN: "WARN",
    DiagnosticStatus.ERROR: "ERROR",
    DiagnosticStatus.STALE: "STALE",
}


class Monitor:
    """Keeps the latest status of each name, as diagnostic_aggregator does, and the sequence of its levels."""

    def __init__(self, world: World) -> None:
        self.statuses: dict[str, DiagnosticStatus] = {}
        self.history: dict[str, list[str]] = {}
        self.arrivals: list[float] = []
        world.peer.create_subscription(DiagnosticArray, "/diagnostics", self._receive, 10)

    def _receive(self, array: DiagnosticArray) -> None:
        self.arrivals.append(time.monotonic())
        assert array.header.stamp.sec > 0
        names = [status.name for status in array.status]
        assert len(set(names)) == len(names)
        for status in array.status:
            self.statuses[status.name] = status
            level = LEVELS[status.level]
            history = self.history.setdefault(status.name, [])
            if history[-1:] != [level]:
                history.append(level)

    def values(self, name: str) -> dict[str, str]:
        """The values of a status; fails if a key occurs twice."""
        pairs = [(pair.key, pair.value) for pair in self.statuses[name].values]
        assert len(dict(pairs)) == len(pairs)
        return dict(pairs)


def test_status_follows_camera_frames_and_training(trained_world: World) -> None:
    name = f"{NODE.strip('/')}: gesture"
    monitor = Monitor(trained_world)
    node = trained_world.start_node()
    # No warnings or errors while it is being activated.
    trained_world.wait_for(lambda: monitor.history.get(name, [])[-1:] == ["WARN"], "no frame yet", node)
    monitor.history[name] = ["WARN"]
    camera = trained_world.start_camera("--rate", "30")
    trained_world.wait_for(lambda: monitor.history[name] == ["WARN", "OK"], "level OK while it classifies", camera)
    monitor.arrivals.clear()
    trained_world.wait_for(lambda: len(monitor.arrivals) >= 4, "four reports")
    gaps = numpy.diff(monitor.arrivals)
    assert numpy.median(gaps) == numpy.clip(numpy.median(gaps), 0.8, 1.2), "about one report per second"

    values = monitor.values(name)
    assert values["state"] == "active"
    assert values["camera topic"] == CAMERA
    assert 20.0 < float(values["frames per second"]) < 40.0
    assert 20.0 < float(values["gestures per second"]) < 40.0
    assert 0.0 < float(values["age of the last gesture, s"]) < 1.0
    assert values["model"] == trained_world.model().model_id
    assert values["backend"] == trained_world.model().backend
    assert values["training"] == "none"

    publisher = trained_world.peer.create_publisher(Image, CAMERA, 5)
    bad = raw(numpy.zeros((24, 32, 3), numpy.uint8), "rgb8")
    bad.step = 1

    def is_counted() -> bool:
        publisher.publish(bad)
        return int(monitor.values(name)["bad frames"]) > 0

    trained_world.wait_for(is_counted, "bad frames are counted")
    trained_world.wait_for(lambda: "WARN" in monitor.history[name][2:], "level WARN because of bad frames")

    statuses = trained_world.trainings()
    assert trained_world.call("retrain", epochs=1000).success
    trained_world.wait_for(lambda: statuses, "a training status")
    trained_world.wait_for(lambda: monitor.values(name)["training"] == "running", "the training in the diagnostics")
    assert trained_world.call("cancel_training").success

    assert camera.end() == 0
    trained_world.wait_for(lambda: monitor.history[name][-1] == "ERROR", "level ERROR without frames")
    message = monitor.statuses[name].message
    assert message == f"camera stalled: no new frame on {CAMERA}"
