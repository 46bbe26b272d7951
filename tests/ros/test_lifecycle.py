"""The managed node: every transition, the wrong ones too, beside rclpy's own lifecycle node, and what each does."""

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

from conftest import Taught
from harness import CAMERA, EVERY_ONE, NAMESPACE, NODE, Program, World

THEIRS = f"{NAMESPACE}/theirs"
# Id and label, as `ros2 lifecycle set` or a lifecycle manager sends them.
CONFIGURE = (Transition.TRANSITION_CONFIGURE, "")
ACTIVATE = (0, "activate")
DEACTIVATE = (Transition.TRANSITION_DEACTIVATE, "")
CLEANUP = (0, "cleanup")
SHUTDOWN = (0, "shutdown")
WRONG = [
    (99, ""),
    (Transition.TRANSITION_DESTROY, ""),
    (Transition.TRANSITION_ON_CONFIGURE_SUCCESS, ""),
    (0, "nonsense"),
    (Transition.TRANSITION_ACTIVATE, "nonsense"),
]


class Managed:
    """The lifecycle services of a node, ours or rclpy's."""

    def __init__(self, world: World, node: str) -> None:
        self.world = world
        self.node = node
        self.events: list[TransitionEvent] = world.listen(TransitionEvent, f"{node}/transition_event", EVERY_ONE)
        world.wait_for(self._client(GetState, "get_state").service_is_ready, f"{node}/get_state")
        topic = f"{node}/transition_event"
        world.wait_for(lambda: world.peer.count_publishers(topic) > 0, f"somebody publishes {topic}")
        self.state()

    def _client(self, kind: type, name: str) -> Any:
        key = f"{self.node}/{name}"
        if key not in self.world.clients:
            self.world.clients[key] = self.world.peer.create_client(kind, key)
        return self.world.clients[key]

    def _ask(self, kind: type, name: str, **fields: object) -> Any:
        client = self._client(kind, name)
        self.world.wait_for(client.service_is_ready, f"{self.node}/{name}")
        answer = client.call_async(kind.Request(**fields))
        self.world.wait_for(answer.done, f"an answer of {self.node}/{name}")
        return answer.result()

    def change(self, transition: tuple[int, str]) -> bool:
        """Asks for a transition; gives whether it was made."""
        number, label = transition
        wanted = Transition(id=number, label=label)
        return self._ask(ChangeState, "change_state", transition=wanted).success

    def state(self) -> str:
        """The state's name."""
        return self._ask(GetState, "get_state").current_state.label

    def states(self) -> list[tuple[int, str]]:
        """Every state there is."""
        found = self._ask(GetAvailableStates, "get_available_states").available_states
        return [(state.id, state.label) for state in found]

    def transitions(self, which: str = "get_available_transitions") -> list[tuple[object, ...]]:
        """The transitions from here, or all of them."""
        found = self._ask(GetAvailableTransitions, which).available_transitions
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
        """The next so many steps that were published."""
        self.world.wait_for(lambda: len(self.events) >= count, f"{count} events of {self.node}")
        steps = [(event.start_state.label, event.goal_state.label) for event in self.events]
        self.events.clear()
        return steps


class Theirs(LifecycleNode):
    """rclpy's lifecycle node: each transition ends as the test wants it."""

    def __init__(self, world: World) -> None:
        self.outcome = TransitionCallbackReturn.SUCCESS
        super().__init__("theirs", context=world.context, namespace=NAMESPACE, enable_rosout=False)

    def on_configure(self, _: Any) -> TransitionCallbackReturn:
        """As the test wants it."""
        return self.outcome


@pytest.fixture
def theirs(world: World) -> Iterator[Theirs]:
    """A node of rclpy's in the same world."""
    node = Theirs(world)
    world.executor.add_node(node)
    yield node
    world.executor.remove_node(node)
    node.destroy_node()


def start(world: World, **parameters: object) -> tuple[Program, Managed]:
    """Our node, which waits for somebody to configure it."""
    node = world.start_node(autostart=False, **parameters)
    return node, Managed(world, NODE)


def test_every_transition_is_as_rclpy_has_it(world: World, theirs: Theirs) -> None:
    _, ours = start(world)
    peer = Managed(world, THEIRS)
    assert ours.states() == peer.states()
    assert ours.transitions("get_transition_graph") == peer.transitions("get_transition_graph")
    walk = [CONFIGURE, ACTIVATE, DEACTIVATE, CLEANUP, CONFIGURE, CLEANUP, CONFIGURE, ACTIVATE, SHUTDOWN]
    for transition in walk:
        assert ours.change(transition) and peer.change(transition), transition
        assert ours.state() == peer.state(), transition
        assert ours.transitions() == peer.transitions(), transition
        assert ours.steps(2) == peer.steps(2), transition
    assert ours.state() == "finalized"


@pytest.mark.parametrize("way", [[], [CONFIGURE], [CONFIGURE, ACTIVATE], [SHUTDOWN]])
def test_a_wrong_transition_is_refused_and_changes_nothing(world: World, way: list[tuple[int, str]]) -> None:
    """rclpy's own node dies of a wrong number, so that it cannot be asked."""
    node, ours = start(world)
    assert all(ours.change(transition) for transition in way)
    state, possible = ours.state(), {one[1] for one in ours.transitions()}
    ours.steps(2 * len(way))
    asked = [
        one
        for one in [(1, "configure"), (2, "cleanup"), (3, "activate"), (4, "deactivate"), (7, "shutdown")]
        if one[1] not in possible
    ]
    for number, label in asked:
        assert not ours.change((number, "")) and not ours.change((0, label))
    for transition in WRONG:
        assert not ours.change(transition)
    assert ours.state() == state
    assert not ours.events
    assert f"does not exist in state {state}; available:" in node.output()


def test_what_cannot_be_had_is_a_failure_as_in_rclpy(world: World, theirs: Theirs) -> None:
    node, ours = start(world, model="nothing-of-that-name")
    peer = Managed(world, THEIRS)
    theirs.outcome = TransitionCallbackReturn.FAILURE
    assert ours.change(CONFIGURE) == peer.change(CONFIGURE)
    assert ours.state() == peer.state() == "unconfigured"
    assert ours.steps(2) == peer.steps(2)
    diagnostics = world.diagnostics()
    world.wait_for(diagnostics.status, "diagnostics")
    assert diagnostics.level() == ord(DiagnosticStatus.ERROR)
    assert "nothing-of-that-name" in diagnostics.status().message
    assert "nothing-of-that-name" in node.output()
    assert "nothing-of-that-name" in world.model().message


def test_what_breaks_goes_through_error_processing_as_in_rclpy(world: World, theirs: Theirs) -> None:
    node, ours = start(world)
    peer = Managed(world, THEIRS)
    theirs.outcome = TransitionCallbackReturn.ERROR
    active = world.store / "active.json"
    active.mkdir()
    assert ours.change(CONFIGURE) == peer.change(CONFIGURE)
    assert ours.state() == peer.state() == "unconfigured"
    assert ours.steps(3) == peer.steps(3)
    assert "error while configuring: cannot read the model store" in node.output()
    assert "cannot read the model store" in world.model().message, "the reason stays"
    active.rmdir()
    assert ours.change(CONFIGURE), "once the cause is mended, it goes on"


def test_an_unconfigured_node_holds_no_model_and_an_inactive_one_hears_no_camera(taught_world: World) -> None:
    _, ours = start(taught_world)
    gestures = taught_world.gestures()
    camera = taught_world.start_camera("--rate", "30")
    assert not taught_world.call("activate_model").success
    assert "unconfigured" in taught_world.call("retrain").message
    assert "unconfigured" in taught_world.call("capture", label="none", frames=1).message
    assert taught_world.call("list_models").models, "the store can be looked at"

    assert ours.change(CONFIGURE)
    taught_world.wait_for(lambda: taught_world.model().active, "the model is loaded")
    assert "inactive" in taught_world.call("capture", label="none", frames=1).message
    assert taught_world.peer.count_subscribers(CAMERA) == 0

    assert ours.change(ACTIVATE)
    taught_world.wait_for(lambda: len(gestures) > 5, "gestures", camera)

    assert ours.change(DEACTIVATE)
    assert_ends_inactive(taught_world, gestures)
    taught_world.wait_for(lambda: taught_world.peer.count_subscribers(CAMERA) == 0, "the camera is left")

    assert ours.change(CLEANUP)
    assert not taught_world.model().active
    gestures.clear()
    assert ours.change(CONFIGURE) and ours.change(ACTIVATE)
    taught_world.wait_for(lambda: gestures, "gestures again", camera)


def assert_ends_inactive(world: World, gestures: list[ThumbGesture]) -> None:
    """The last gesture says that no more will come, and none does."""
    world.wait_for(lambda: gestures and gestures[-1].reason == "inactive", "a last gesture")
    last = gestures[-1]
    assert (last.gesture, last.stable) == (ThumbGesture.UNKNOWN, False)
    gestures.clear()
    world.spin_for(1.5)
    assert not gestures, "not even stale ones"


def test_a_clean_up_frees_what_the_model_held(taught_world: World, taught: Taught) -> None:
    """Of what is freed, glibc gives the system only what does not lie at the end of a thread's heap: so not every turn shows it."""
    node, ours = start(taught_world, precision="fp32")
    weights = taught_world.store / "models" / taught.model_id / "weights.safetensors"
    loaded, freed = [], []
    for _ in range(6):
        assert ours.change(CONFIGURE)
        taught_world.wait_for(lambda: taught_world.model().active, "the model is loaded")
        loaded.append(memory_of(node))
        assert ours.change(CLEANUP)
        freed.append(memory_of(node))
    turns = [f"{full / 1e6:.0f} -> {empty / 1e6:.0f} MB" for full, empty in zip(loaded, freed, strict=True)]
    print(", ".join(turns))
    assert max(full - empty for full, empty in zip(loaded, freed, strict=True)) > weights.stat().st_size
    assert loaded[-1] < loaded[1] + weights.stat().st_size, "nothing is left over of each"


def test_a_clean_up_ends_a_training(taught_world: World) -> None:
    _, ours = start(taught_world)
    assert ours.change(CONFIGURE)
    statuses = taught_world.trainings()
    assert taught_world.call("retrain", epochs=1000).success
    taught_world.wait_for(lambda: statuses and statuses[-1].progress > 0.0, "the training is under way")
    assert ours.change(CLEANUP)
    taught_world.wait_for(lambda: statuses[-1].state == TrainingStatus.CANCELLED, "it is cancelled")


def test_a_deactivation_ends_a_capture_at_once(world: World) -> None:
    _, ours = start(world, capture_timeout=60.0)
    assert ours.change(CONFIGURE) and ours.change(ACTIVATE)
    world.start_camera("--rate", "10")
    answer = world.send("capture", label="none", frames=1000)
    world.wait_for(lambda: list(world.dataset.rglob("*.jpg")), "a frame is saved")
    assert ours.change(DEACTIVATE)
    world.wait_for(answer.done, "the answer", timeout=5.0)
    assert "deactivated" in answer.result().message
    assert answer.result().saved == len(list(world.dataset.rglob("*.jpg"))) > 0


@pytest.mark.parametrize("way", [[], [CONFIGURE], [CONFIGURE, ACTIVATE], [SHUTDOWN]])
def test_a_node_ends_in_any_state(taught_world: World, way: list[tuple[int, str]]) -> None:
    node, ours = start(taught_world)
    assert all(ours.change(transition) for transition in way)
    assert node.end(timeout=2.0) == 0


def test_by_default_it_starts_by_itself_and_events_tell(world: World) -> None:
    events = world.listen(TransitionEvent, f"{NODE}/transition_event")
    world.start_node()
    ours = Managed(world, NODE)
    world.wait_for(lambda: ours.state() == "active", "it is active")
    events.clear()
    assert ours.change(DEACTIVATE)
    world.wait_for(lambda: events and events[-1].goal_state.id == State.PRIMARY_STATE_INACTIVE, "an event")
    assert events[-1].transition.id == Transition.TRANSITION_ON_DEACTIVATE_SUCCESS
    assert events[-1].timestamp > 0


def memory_of(program: Program) -> int:
    """What a program has in memory, bytes."""
    lines = Path(f"/proc/{program.process.pid}/status").read_text().splitlines()
    (resident,) = (line.split()[1] for line in lines if line.startswith("VmRSS"))
    return int(resident) * 1024
