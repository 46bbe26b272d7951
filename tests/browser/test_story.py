"""The whole story, as a visitor lives it who has never seen ROS."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from camera import FakeCamera
from harness import LABELS
from site_under_test import SCREENS, TRAINING_MS, Site, Visitor

# The guide asks for so many.
FRAMES = 30
BURSTS = 3
# Of the time in which a gesture is shown; by chance it is a third. Drawn hands have another room in every picture.
MIN_SHARE = 0.5


@pytest.mark.parametrize("screen", SCREENS)
def test_visitor_teaches_three_gestures_with_the_own_camera(
    open_site: Callable[..., Site], fake_camera: FakeCamera, screen: str
) -> None:
    site = open_site(browser_camera=True)
    site.world.start_node(image_transport="compressed")
    start = time.monotonic()
    fake_camera.show("odd:thumbs_up")
    visitor = site.visit(SCREENS[screen])
    visitor.find(".banner.is-calm").get_by_text("No camera yet").wait_for()
    visitor.screenshot(f"{screen}-1-empty")
    visitor.use_camera()
    guide = visitor.find(".guide .is-now")
    assert "Show it" in guide.inner_text()
    visitor.screenshot(f"{screen}-2-camera")

    teach(visitor, fake_camera, screen)
    print(f"{screen}: taught after {time.monotonic() - start:.1f} s")
    assert "Train" in guide.inner_text(), guide.inner_text()
    visitor.train()
    print(f"{screen}: trained after {time.monotonic() - start:.1f} s")
    visitor.screenshot(f"{screen}-5-trained")
    assert "unseen frames right" in visitor.find(".outcome h2").inner_text()
    assert not visitor.find(".guide").count(), "the guide has gone away by itself"
    visitor.use_new_model()
    visitor.wait_for_gesture(LABELS[0])
    print(f"{screen}: first visit to first own gesture live: {time.monotonic() - start:.1f} s")
    first = model_in_use(visitor)
    assert first != "builtin"
    visitor.go_to("Teach")
    for label in reversed(LABELS):
        # Pictures that it was not taught.
        fake_camera.show(f"even:{label}")
        visitor.pause()
        share = visitor.share_of_gesture(label)
        print(f"{screen}: {share:.0%} of the time {label}")
        assert share >= MIN_SHARE
        visitor.screenshot(f"{screen}-6-{label}")

    correct(visitor)
    visitor.train()
    visitor.use_new_model()
    second = model_in_use(visitor)
    assert second not in (first, "builtin")
    compare(visitor)
    roll_back(visitor, to=first)
    visitor.screenshot(f"{screen}-8-models")

    counts = [visitor.frames(label) for label in LABELS] if visitor.go_to("Teach") is None else []
    visitor.page.reload()
    visitor.wait_for_frames(LABELS[-1], counts[-1])
    assert [visitor.frames(label) for label in LABELS] == counts
    visitor.find(".outcome").wait_for()
    assert "Being loaded" not in visitor.find(".outcome").inner_text(), "nothing is loaded after a reload"
    visitor.wait_for_gesture(LABELS[0])
    assert model_in_use(visitor) == first, "after the reload"
    visitor.go_to("Teach")
    visitor.screenshot(f"{screen}-9-reloaded")


def teach(visitor: Visitor, fake_camera: FakeCamera, screen: str) -> None:
    """Records each label as the guide asks, in three recordings."""
    for label in reversed(LABELS):
        fake_camera.show(f"odd:{label}")
        visitor.pause()
        for burst in range(BURSTS):
            if label == LABELS[-1] and burst == 0:
                with visitor.holding(label):
                    visitor.wait_for_frames(label, 5)
                    visitor.screenshot(f"{screen}-3-recording")
                    visitor.wait_for_frames(label, FRAMES // BURSTS)
                visitor.wait_for_idle()
            else:
                visitor.hold(label, FRAMES // BURSTS)
    visitor.find(".guide .is-now").get_by_text("Train").first.wait_for()
    visitor.find(".strip img").nth(10).wait_for()
    visitor.screenshot(f"{screen}-4-taught")


def correct(visitor: Visitor) -> None:
    """Says that the last gesture was wrong, and what it was."""
    before = visitor.frames("none")
    visitor.page.get_by_role("button", name="That was wrong").click()
    dialog = visitor.page.get_by_role("dialog")
    dialog.wait_for()
    visitor.screenshot(f"{'phone' if visitor.is_touch else 'desktop'}-7-correct")
    dialog.get_by_role("button", name="none").click()
    visitor.wait_for_frames("none", before + 1)


def model_in_use(visitor: Visitor) -> str:
    """Id of the model in use, in the view of models."""
    visitor.go_to("Models")
    active = visitor.find(".model.is-active")
    active.wait_for()
    return active.get_attribute("data-model")


def compare(visitor: Visitor) -> None:
    """Compares the two newest models."""
    boxes = visitor.find(".model input[type=checkbox]")
    for i in range(2):
        boxes.nth(i).check()
    figures = visitor.find(".comparison .figure")
    figures.nth(1).wait_for(timeout=TRAINING_MS)
    assert all(text.endswith("%") for text in figures.all_inner_texts())
    figures.first.scroll_into_view_if_needed()
    visitor.screenshot(f"{'phone' if visitor.is_touch else 'desktop'}-8-comparison")


def roll_back(visitor: Visitor, to: str) -> None:
    """Goes back to the model before."""
    visitor.page.get_by_role("button", name="Go back to the previous one").click()
    visitor.find(f'.model.is-active[data-model="{to}"]').wait_for()
