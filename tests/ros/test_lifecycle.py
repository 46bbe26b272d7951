"""The managed node: all transitions, in comparison with a managed node of rclpy, and their effects."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from diagnostic_msgs.msg import DiagnosticStatus
from lifecycle_msgs.msg import State, Transition, TransitionEvent
from lifecycle_msgs.srv import ChangeState, GetAvailableStates, GetAvailableTransitions, GetState
from rclpy.lifecycle import Node as LifecycleNode
from rclpy.lifecycle import TransitionCallbackReturn
from thumb_gesture.msg import ThumbGesture, TrainingStatus

from conftest import TrainedModel
from harness import CAMERA, EVERY_MESSAGE, NAMESPACE, NODE, Program, World

RCLPY_NODE = f"{NAMESPACE}/rclpy_node"
# Id and label, as `ros2 lifecycle set` or a lifecycle manager sends them.
CONFIGURE = (Transition.TRANSITION_CONFIGURE, "")
ACTIVATE = (0, "activate")
DEACTIVATE = (Transition.TRANSITION_DEACTIVATE, "")
CLEANUP = (0, "cleanup")
SHUTDOWN = (0, "shutdown")
NEVER_VALID = [
    (99, ""),
    (Transition.TRANSITION_DESTROY, ""),
    (Transition.TRANSITION_ON_CONFIGURE_SUCCESS, ""),
    (0, "nonsense"),
    (Transition.TRANSITION_ACTIVATE, "nonsense"),
]


class LifecycleClient:
    """A client of the lifecycle services of a node, this package's or rclpy's."""

    def __init__(self, world: World, node: str) -> None:
        self.world = world
        self.node = node
        self.events: list[TransitionEvent] = world.listen(TransitionEvent, f"{node}/transition_event", EVERY_MESSAGE)
        world.wait_for(self._client(GetState, "get_state").service_is_ready, f"{node}/get_state")
        topic = f"{node}/transition_event"
        world.wait_for(lambda: world.peer.count_publishers(topic) > 0, f"a publisher on {topic}")
        self.state()

    def _client(self, kind: type, name: str) -> Any:
        key = f"{self.node}/{name}"
        if key not in self.world.clients:
            self.world.clients[key] = self.world.peer.create_client(kind, key)
        return self.world.clients[key]

    def _call(self, kind: type, name: str, **fields: object) -> Any:
        client = self._client(kind, name)
        self.world.wait_for(client.service_is_ready, f"{self.node}/{name}")
        answer = client.call_async(kind.Request(**fields))
        self.world.wait_for(answer.done, f"a response of {self.node}/{name}")
        return answer.result()

    def change(self, transition: tuple[int, str]) -> bool:
        """Requests a transition; returns whether it succeeded."""
        number, label = transition
        wanted = Transition(id=number, label=label)
        return self._call(ChangeState, "change_state", transition=wanted).success

    def state(self) -> str:
        """Label of the current state."""
        client = self._client(GetState, "get_state")
        self.world.wait_for(client.service_is_ready, f"{self.node}/get_state")
        answer = self.world.ask(client, GetState.Request(), f"a response of {self.node}/get_state")
        return answer.current_state.label

    def states(self) -> list[tuple[int, str]]:
        """Id and label of every state."""
        found = self._call(GetAvailableStates, "get_available_states").available_states
        return [(state.id, state.label) for state in found]

    def transitions(self, which: str = "get_available_transitions") -> list[tuple[object, ...]]:
        """The transitions from the current state, or all of them."""
        found = self._call(GetAvailableTransitions, which).available_transitions
        return [
            (
                one.transition.id,
                one.transition.label,
                one.start_state.id,
                one.start_state.label,
                one.goal_state.id,
                one.goal_state.label,
            )
            for one in found
        ]

    def steps(self, count: int) -> list[tuple[str, str]]:
        """Waits for `count` transition events; returns and clears all that were received."""
        self.world.wait_for(lambda: len(self.events) >= count, f"{count} events of {self.node}")
        steps = [(event.start_state.label, event.goal_state.label) for event in self.events]
        self.events.clear()
        return steps


class RclpyNode(LifecycleNode):
    """A managed node of rclpy; the test sets the outcome of configuring."""

    def __init__(self, world: World) -> None:
        self.outcome = TransitionCallbackReturn.SUCCESS
        super().__init__("rclpy_node", context=world.context, namespace=NAMESPACE, enable_rosout=False)

    def on_configure(self, _: Any) -> TransitionCallbackReturn:
        """Returns the outcome that the test has set."""
        return self.outcome


@pytest.fixture
def rclpy_node(world: World) -> Iterator[RclpyNode]:
    """A managed node of rclpy in the same world."""
    node = RclpyNode(world)
    world.executor.add_node(node)
    yield node
    world.executor.remove_node(node)
    node.destroy_node()


def start(world: World, **parameters: object) -> tuple[Program, LifecycleClient]:
    """Starts this package's node unconfigured."""
    node = world.start_node(autostart=False, **parameters)
    return node, LifecycleClient(world, NODE)


def test_transitions_equal_those_of_rclpy(world: World, rclpy_node: RclpyNode) -> None:
    _, ours = start(world)
    theirs = LifecycleClient(world, RCLPY_NODE)
    assert ours.states() == theirs.states()
    assert ours.transitions("get_transition_graph") == theirs.transitions("get_transition_graph")
    sequence = [CONFIGURE, ACTIVATE, DEACTIVATE, CLEANUP, CONFIGURE, CLEANUP, CONFIGURE, ACTIVATE, SHUTDOWN]
    for transition in sequence:
        assert ours.change(transition) and theirs.change(transition), transition
        assert ours.state() == theirs.state(), transition
        assert ours.transitions() == theirs.transitions(), transition
        assert ours.steps(2) == theirs.steps(2), transition
    assert ours.state() == "finalized"


@pytest.mark.parametrize("path", [[], [CONFIGURE], [CONFIGURE, ACTIVATE], [SHUTDOWN]])
def test_invalid_transition_is_rejected_and_changes_nothing(world: World, path: list[tuple[int, str]]) -> None:
    """Not compared with rclpy, whose node crashes on an invalid id."""
    node, ours = start(world)
    assert all(ours.change(transition) for transition in path)
    state, possible = ours.state(), {one[1] for one in ours.transitions()}
    ours.steps(2 * len(path))
    invalid = [
        one
        for one in [(1, "configure"), (2, "cleanup"), (3, "activate"), (4, "deactivate"), (7, "shutdown")]
        if one[1] not in possible
    ]
    for number, label in invalid:
        assert not ours.change((number, "")) and not ours.change((0, label))
    for transition in NEVER_VALID:
        assert not ours.change(transition)
    assert ours.state() == state
    assert not ours.events
    assert f"does not exist in state {state}; available:" in node.output()


def test_missing_model_fails_the_transition_as_in_rclpy(world: World, rclpy_node: RclpyNode) -> None:
    node, ours = start(world, model="nothing-of-that-name")
    theirs = LifecycleClient(world, RCLPY_NODE)
    rclpy_node.outcome = TransitionCallbackReturn.FAILURE
    assert ours.change(CONFIGURE) == theirs.change(CONFIGURE)
    assert ours.state() == theirs.state() == "unconfigured"
    assert ours.steps(2) == theirs.steps(2)
    diagnostics = world.diagnostics()
    world.wait_for(diagnostics.status, "diagnostics")
    assert diagnostics.level() == ord(DiagnosticStatus.ERROR)
    assert "nothing-of-that-name" in diagnostics.status().message
    assert "nothing-of-that-name" in node.output()
    assert "nothing-of-that-name" in world.model().message


def test_error_leads_to_error_processing_as_in_rclpy(world: World, rclpy_node: RclpyNode) -> None:
    node, ours = start(world)
    theirs = LifecycleClient(world, RCLPY_NODE)
    rclpy_node.outcome = TransitionCallbackReturn.ERROR
    active = world.store / "active.json"
    active.mkdir()
    assert ours.change(CONFIGURE) == theirs.change(CONFIGURE)
    assert ours.state() == theirs.state() == "unconfigured"
    assert ours.steps(3) == theirs.steps(3)
    assert "error while configuring: cannot read the model store" in node.output()
    assert "cannot read the model store" in world.model().message, "the reason is kept"
    active.rmdir()
    assert ours.change(CONFIGURE), "configuring succeeds after the cause is removed"


def test_unconfigured_node_has_no_model_and_inactive_node_no_subscription(trained_world: World) -> None:
    _, ours = start(trained_world)
    gestures = trained_world.gestures()
    camera = trained_world.start_camera("--rate", "30")
    assert not trained_world.call("activate_model").success
    assert "unconfigured" in trained_world.call("retrain").message
    message = trained_world.call("capture", label="none", frames=1).message
    assert "unconfigured" in message and "ros2 lifecycle set <node> configure" in message
    assert trained_world.call("list_models").models, "models are listed in any state"

    assert ours.change(CONFIGURE)
    trained_world.wait_for(lambda: trained_world.model().active, "the model is loaded")
    message = trained_world.call("capture", label="none", frames=1).message
    assert "inactive" in message and "configure" not in message
    assert trained_world.peer.count_subscribers(CAMERA) == 0

    assert ours.change(ACTIVATE)
    trained_world.wait_for(lambda: len(gestures) > 5, "gestures", camera)

    assert ours.change(DEACTIVATE)
    assert_ends_inactive(trained_world, gestures)
    trained_world.wait_for(lambda: trained_world.peer.count_subscribers(CAMERA) == 0, "no subscription to the camera")

    assert ours.change(CLEANUP)
    assert not trained_world.model().active
    gestures.clear()
    assert ours.change(CONFIGURE) and ours.change(ACTIVATE)
    trained_world.wait_for(lambda: gestures, "gestures again", camera)


def assert_ends_inactive(world: World, gestures: list[ThumbGesture]) -> None:
    """Asserts that the last gesture has the reason `inactive` and that no more follow."""
    world.wait_for(lambda: gestures and gestures[-1].reason == "inactive", "a last gesture")
    last = gestures[-1]
    assert (last.gesture, last.stable) == (ThumbGesture.UNKNOWN, False)
    gestures.clear()
    world.spin_for(1.5)
    assert not gestures, "no gestures while inactive, not even stale ones"


def test_cleanup_frees_the_memory_of_the_model(trained_world: World, trained: TrainedModel) -> None:
    """glibc returns freed memory to the system only in part, so not every repetition shows the difference."""
    node, ours = start(trained_world, precision="fp32")
    weights = trained_world.store / "models" / trained.model_id / "weights.safetensors"
    loaded, freed = [], []
    for _ in range(6):
        assert ours.change(CONFIGURE)
        trained_world.wait_for(lambda: trained_world.model().active, "the model is loaded")
        loaded.append(memory_of(node))
        assert ours.change(CLEANUP)
        freed.append(memory_of(node))
    memory = [f"{full / 1e6:.0f} -> {empty / 1e6:.0f} MB" for full, empty in zip(loaded, freed, strict=True)]
    print(", ".join(memory))
    assert max(full - empty for full, empty in zip(loaded, freed, strict=True)) > weights.stat().st_size
    assert loaded[-1] < loaded[1] + weights.stat().st_size, "memory does not grow with repetitions"


def test_cleanup_cancels_a_training(trained_world: World) -> None:
    _, ours = start(trained_world)
    assert ours.change(CONFIGURE)
    statuses = trained_world.trainings()
    assert trained_world.call("retrain", epochs=1000).success
    trained_world.wait_for(lambda: statuses and statuses[-1].progress > 0.0, "the training is under way")
    assert ours.change(CLEANUP)
    trained_world.wait_for(lambda: statuses[-1].state == TrainingStatus.CANCELLED, "it is cancelled")


def test_deactivation_ends_a_capture_at_once(world: World) -> None:
    _, ours = start(world, capture_timeout=60.0)
    assert ours.change(CONFIGURE) and ours.change(ACTIVATE)
    world.start_camera("--rate", "10")
    answer = world.send("capture", label="none", frames=1000)
    world.wait_for(lambda: list(world.dataset.rglob("*.jpg")), "a frame is saved")
    assert ours.change(DEACTIVATE)
    world.wait_for(answer.done, "the response", timeout=5.0)
    assert "deactivated" in answer.result().message
    assert answer.result().saved == len(list(world.dataset.rglob("*.jpg"))) > 0


@pytest.mark.parametrize("path", [[], [CONFIGURE], [CONFIGURE, ACTIVATE], [SHUTDOWN]])
def test_node_ends_in_any_state(trained_world: World, path: list[tuple[int, str]]) -> None:
    node, ours = start(trained_world)
    assert all(ours.change(transition) for transition in path)
    assert node.end(timeout=2.0) == 0


def test_node_activates_itself_by_default_and_publishes_transition_events(world: World) -> None:
    events = world.listen(TransitionEvent, f"{NODE}/transition_event")
    world.start_node()
    ours = LifecycleClient(world, NODE)
    world.wait_for(lambda: ours.state() == "active", "state active")
    events.clear()
    assert ours.change(DEACTIVATE)
    world.wait_for(lambda: events and events[-1].goal_state.id == State.PRIMARY_STATE_INACTIVE, "the event of the deactivation")
    assert events[-1].transition.id == Transition.TRANSITION_ON_DEACTIVATE_SUCCESS
    assert events[-1].timestamp > 0


def memory_of(program: Program) -> int:
    """Resident memory of a program in bytes."""
    lines = Path(f"/proc/{program.process.pid}/status").read_text().splitlines()
    (resident,) = (line.split()[1] for line in lines if line.startswith("VmRSS"))
    return int(resident) * 1024
