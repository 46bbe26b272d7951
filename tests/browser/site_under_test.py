"""The page as a visitor meets it: a program that serves it, browsers of several screens, and fingers."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from harness import IN_NAMESPACE, REPOSITORY, Program, World

SCREENSHOTS = Path(os.environ.get("THUMB_GESTURE_SCREENSHOTS", REPOSITORY / "build" / "browser"))
ADDRESS = re.compile(r"The page is at (https?://\S+)")
# A server that is gone or refuses, and a header that has no effect without TLS.
HARMLESS = re.compile("Failed to load resource|WebSocket connection|Cross-Origin-Opener-Policy")
# Of a person who has changed what the camera shows, and of the camera.
REACTION_MS = 600
LONGER_THAN_A_TAP_MS = 400
TRAINING_MS = 180_000
# Time in which a gesture is watched.
WATCHED_MS = 2_500

PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}
SMALL_PHONE = PHONE | {"viewport": {"width": 320, "height": 568}}
DESKTOP = {"viewport": {"width": 1280, "height": 800}}
LARGE = {"viewport": {"width": 3840, "height": 2160}}
SCREENS = {"phone": PHONE, "desktop": DESKTOP}


class Site:
    """A running teach_page, and the visitors who have it open."""

    def __init__(self, world: World, browser: Any, **parameters: object) -> None:
        self.world = world
        self.browser = browser
        self.visitors: list[Visitor] = []
        options = [word for name, value in ({"page_port": 0} | parameters).items() for word in ("-p", f"{name}:={value}")]
        self.program: Program = world.start("teach_page", *IN_NAMESPACE, *options)
        world.wait_for(lambda: ADDRESS.search(self.program.output()), "the address of the page", self.program)

    def start_robot(self) -> None:
        """Starts a node, and a camera of the robot that shows thumbs up."""
        self.world.start_node(image_reliability="reliable")
        self.start_camera()

    def start_camera(self, *options: str) -> Program:
        """Starts the camera of the robot."""
        return self.world.start_camera("--rate", "15", "--show", "thumbs_up", *options)

    def camera(self) -> Program:
        """The camera of the robot."""
        return self.last("photo_camera")

    def last(self, name: str) -> Program:
        """The last program of this name that was started."""
        return next(program for program in reversed(self.world.programs) if program.name == name)

    def start_over(self) -> None:
        """Removes what an earlier test has recorded, and starts the camera again if it has ended that."""
        if not self.camera().is_running():
            self.start_camera()
        if self.world.dataset.exists():
            for path in self.world.dataset.iterdir():
                shutil.rmtree(path)
        assert self.world.call("clear_trash").success
        # Finds nothing, but has the node look at the dataset.
        assert not self.world.call("undo_edit").success

    @property
    def address(self) -> str:
        """Address of the page, as it is printed."""
        found = ADDRESS.search(self.program.output())
        assert found is not None
        return found[1]

    def visit(self, screen: dict[str, Any] = DESKTOP, address: str = "", **options: object) -> Visitor:
        """Opens the page in a new profile."""
        context = self.browser.new_context(**screen, **options)
        visitor = Visitor(context, address or self.address, is_touch="has_touch" in screen)
        self.visitors.append(visitor)
        return visitor

    def see(self, screen: dict[str, Any] = DESKTOP, address: str = "") -> Visitor:
        """A visitor who sees the camera of the robot."""
        visitor = self.visit(screen, address)
        visitor.wait_for(
            "() => document.querySelector('.screen canvas')?.width === 320 && !document.querySelector('.banner')"
        )
        return visitor

    def close(self) -> None:
        """Closes all pages; fails if one of them had an error in its scripts or violated the security policy."""
        visitors, self.visitors = self.visitors, []
        for visitor in visitors:
            visitor.context.close()
        for visitor in visitors:
            assert not visitor.errors, visitor.errors


class Visitor:
    """A person with the page open."""

    def __init__(self, context: Any, address: str, is_touch: bool) -> None:
        self.context = context
        self.is_touch = is_touch
        self.errors: list[str] = []
        self.page = context.new_page()
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("console", self.note)
        self.page.set_default_timeout(15_000)
        self.page.goto(address)
        self.fingers = context.new_cdp_session(self.page) if self.is_touch else None

    def note(self, message: Any) -> None:
        """Keeps what the browser says is wrong with the page."""
        if message.type == "error" and not HARMLESS.search(message.text):
            self.errors.append(message.text)

    # What the visitor sees.

    def find(self, selector: str, **options: object) -> Any:
        """An element of the page."""
        return self.page.locator(selector, **options)

    def button(self, name: str) -> Any:
        """A button by the beginning of its name, which may have a reason after it."""
        return self.page.get_by_role("button", name=re.compile(f"^{name}"))

    def wait_for(self, script: str, argument: object = None, timeout: float = 15_000) -> None:
        """Waits until a script returns true."""
        self.page.wait_for_function(script, arg=argument, timeout=timeout, polling=50)

    def frames(self, label: str) -> int:
        """Number of frames that the page shows for a label."""
        return int(self.find(f'.shelf[data-label="{label}"] .shelf-count b').inner_text())

    def wait_for_frames(self, label: str, least: int) -> None:
        """Waits until the page shows at least so many frames of a label."""
        script = """([label, least]) => [...document.querySelectorAll(".shelf[data-label]")]
            .some((shelf) => shelf.dataset.label === label && Number(shelf.querySelector(".shelf-count b").textContent) >= least)"""
        self.wait_for(script, [label, least])

    def wait_for_gesture(self, label: str, timeout: float = 15_000) -> None:
        """Waits until the page shows a stable gesture."""
        script = """(label) => { const shown = document.querySelector(".gesture"); return shown?.dataset.label === label && shown.dataset.stable === "true"; }"""
        self.wait_for(script, label, timeout)

    def share_of_gesture(self, label: str) -> float:
        """The share of some seconds in which the page shows a gesture."""
        return self.page.evaluate(
            """([label, duration]) => new Promise((resolve) => {
                let shown = 0, all = 0;
                const timer = setInterval(() => {
                    all += 1;
                    shown += document.querySelector(".gesture")?.dataset.label === label;
                }, 50);
                setTimeout(() => (clearInterval(timer), resolve(shown / all)), duration);
            })""",
            [label, WATCHED_MS],
        )

    def wait_for_idle(self) -> None:
        """Waits until nothing is recorded."""
        self.wait_for("() => !document.querySelector('.hold.is-recording, .hold.is-blocked')")

    def screenshot(self, name: str) -> None:
        """Keeps a picture of the page."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png", animations="disabled")

    # What the visitor does.

    def use_camera(self) -> None:
        """Uses the camera of this device, and waits for its picture."""
        self.page.get_by_role("button", name="Use this device’s camera").click()
        self.wait_for("() => document.querySelector('.screen canvas')?.width === 640 && !document.querySelector('.banner')")

    def go_to(self, view: str) -> None:
        """Opens a view by its tab."""
        self.page.get_by_role("navigation").get_by_role("link", name=view).click()

    @contextmanager
    def holding(self, label: str) -> Any:
        """Holds the button of a label, with a finger or the mouse."""
        down, up = self.grip(label)
        down()
        try:
            yield
        finally:
            up()

    def grip(self, label: str) -> tuple[Callable[[], object], Callable[[], object]]:
        """What presses and what releases the button of a label."""
        button = self.find(f'.hold[data-label="{label}"]')
        button.scroll_into_view_if_needed()
        box = button.bounding_box()
        x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
        if self.fingers:
            touch = lambda kind, points: self.fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})  # noqa: E731
            return lambda: touch("touchStart", [{"x": x, "y": y}]), lambda: touch("touchEnd", [])
        self.page.mouse.move(x, y)
        return self.page.mouse.down, self.page.mouse.up

    def hold(self, label: str, frames: int) -> None:
        """Holds the button of a label until so many frames more were recorded."""
        least = self.frames(label) + frames
        with self.holding(label):
            self.page.wait_for_timeout(LONGER_THAN_A_TAP_MS)
            self.wait_for_frames(label, least)
        self.wait_for_idle()

    def look_away(self, is_away: bool) -> None:
        """Hides the page as another tab or a locked phone does, or shows it again."""
        script = """(isHidden) => {
            Object.defineProperty(document, "hidden", { configurable: true, value: isHidden });
            document.dispatchEvent(new Event("visibilitychange"));
        }"""
        self.page.evaluate(script, is_away)

    def pause(self) -> None:
        """Lets a person react to what the camera shows."""
        self.page.wait_for_timeout(REACTION_MS)

    def train(self) -> None:
        """Trains, and waits for the result."""
        self.button("Train").click()
        self.wait_for("() => document.querySelector('.training progress')")
        self.wait_for("() => document.querySelector('.training .outcome')", timeout=TRAINING_MS)

    def use_new_model(self) -> None:
        """Waits until the new model is in use, and uses it all the same if it was not promoted."""
        anyway = self.button("Use it all the same")
        in_use = self.find(".outcome.is-good")
        in_use.or_(anyway).first.wait_for()
        if anyway.count():
            anyway.click()
        in_use.wait_for()
