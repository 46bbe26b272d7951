"""Hold to record, in all the ways in which it can begin and end."""

from __future__ import annotations

import time

import pytest

from harness import NODE, TRANSIENT_LOCAL
from images import png_of
from network import Network
from numpy import uint8, zeros
from site_under_test import PHONE, SCREENS, Site
from thumb_gesture.msg import Recording


@pytest.mark.parametrize("screen", SCREENS)
def test_a_held_button_records_one_burst_that_can_be_taken_back(site: Site, screen: str) -> None:
    visitor = site.see(SCREENS[screen])
    visitor.hold("thumbs_up", 10)
    visitor.find('.shelf[data-label="thumbs_up"]').get_by_text("1 recording").wait_for(state="attached")
    saved = visitor.frames("thumbs_up")
    visitor.find('.shelf[data-label="thumbs_up"] .undo').click()
    visitor.wait_for("() => document.querySelector('.shelf[data-label=thumbs_up] .shelf-count b').textContent === '0'")
    visitor.page.get_by_role("button", name="Redo").click()
    visitor.wait_for_frames("thumbs_up", saved)


def test_a_tap_starts_and_the_next_tap_stops(site: Site) -> None:
    visitor = site.see(PHONE)
    button = visitor.find('.hold[data-label="none"]')
    button.tap()
    button.get_by_text("tap to stop").wait_for()
    visitor.wait_for_frames("none", 8)
    button.tap()
    visitor.wait_for_idle()
    assert visitor.frames("none") >= 8


def test_a_recording_ends_when_another_view_is_opened(site: Site) -> None:
    recordings = site.world.listen(Recording, f"{NODE}/recording", TRANSIENT_LOCAL)
    visitor = site.see(PHONE)
    visitor.find('.hold[data-label="none"]').tap()
    visitor.wait_for_frames("none", 5)
    visitor.go_to("Models")
    site.world.wait_for(lambda: recordings and not recordings[-1].active and recordings[-1].saved >= 5, "the end of the recording")


def test_a_long_touch_opens_no_menu_and_does_not_scroll(site: Site) -> None:
    visitor = site.see(PHONE)
    visitor.page.evaluate("window.menus = []; addEventListener('contextmenu', (event) => menus.push(event.defaultPrevented))")
    button = visitor.find('.hold[data-label="none"]')
    assert button.evaluate("(element) => getComputedStyle(element).touchAction") == "none"
    with visitor.holding("none"):
        visitor.wait_for_frames("none", 15)
        # A finger that slips off the button is still down.
        visitor.fingers.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{"x": 200, "y": 300}]})
        visitor.wait_for_frames("none", 20)
    visitor.wait_for_idle()
    assert all(visitor.page.evaluate("menus"))


def test_keys_record_as_long_as_they_are_held(site: Site) -> None:
    visitor = site.see()
    keyboard = visitor.page.keyboard
    keyboard.down("2")
    visitor.wait_for_frames("thumbs_down", 6)
    keyboard.up("2")
    visitor.wait_for_idle()
    visitor.find('.hold[data-label="none"]').focus()
    keyboard.down(" ")
    visitor.wait_for_frames("none", 6)
    keyboard.up(" ")
    visitor.wait_for_idle()
    # A short press leaves it running; Escape ends it.
    keyboard.press("1")
    visitor.wait_for_frames("thumbs_up", 6)
    keyboard.press("Escape")
    visitor.wait_for_idle()


def test_key_ends_its_recording_although_the_labels_have_changed(site: Site) -> None:
    picture = png_of(zeros((24, 32, 3), uint8))
    assert site.world.call("add_frame", label="fist", image=picture).success
    visitor = site.see()
    visitor.wait_for_frames("fist", 1)
    number = visitor.find(".hold").count()
    visitor.page.keyboard.down(str(number))
    visitor.wait_for_frames("fist", 6)
    # Its number is that of another label now.
    assert site.world.call("add_frame", label="claw", image=picture).success
    visitor.wait_for_frames("claw", 1)
    visitor.page.keyboard.up(str(number))
    visitor.wait_for_idle()
    assert visitor.frames("claw") == 1


def test_recording_that_ends_by_itself_says_why(site: Site) -> None:
    visitor = site.see(PHONE)
    button = visitor.find('.hold[data-label="none"]')
    button.tap()
    visitor.wait_for_frames("none", 5)
    assert site.camera().end() == 0
    visitor.find('.shelf[data-label="none"] .problem').get_by_text("The recording has ended").wait_for()
    visitor.wait_for_idle()
    site.start_camera()
    visitor.find(".banner").wait_for(state="detached")
    visitor.hold("none", 3)


def test_undo_of_a_correction_leaves_newer_frames_alone(site: Site) -> None:
    visitor = site.see()
    visitor.find(".gesture").wait_for()
    visitor.page.get_by_role("button", name="That was wrong").click()
    visitor.page.get_by_role("dialog").get_by_role("button", name="thumbs down").click()
    undo = visitor.find(".message").get_by_role("button", name="Undo")
    undo.wait_for()
    assert site.world.call("add_frame", label="none", image=png_of(zeros((24, 32, 3), uint8))).success
    undo.click()
    visitor.wait_for("() => document.querySelector('.shelf[data-label=thumbs_down] .shelf-count b').textContent === '0'")
    visitor.wait_for_frames("none", 1)


def test_who_leaves_the_page_records_no_longer(site: Site) -> None:
    visitor = site.see()
    with visitor.holding("none"):
        visitor.wait_for_frames("none", 3)
        visitor.page.evaluate("window.dispatchEvent(new Event('blur'))")
        visitor.wait_for_idle()
    with visitor.holding("thumbs_up"):
        visitor.wait_for_frames("thumbs_up", 3)
        visitor.page.goto("about:blank")
    recordings = site.world.listen(Recording, f"{NODE}/recording", TRANSIENT_LOCAL)
    site.world.wait_for(lambda: recordings and not recordings[-1].active, "the end of the recording")


def test_a_lost_connection_ends_the_recording(site: Site) -> None:
    recordings = site.world.listen(Recording, f"{NODE}/recording", TRANSIENT_LOCAL)
    with Network(site.address) as network:
        visitor = site.see(address=network.address)
        down, up = visitor.grip("none")
        down()
        visitor.wait_for_frames("none", 5)
        site.world.wait_for(lambda: recordings and recordings[-1].active, "the recording")
        network.cut()
        site.world.wait_for(lambda: recordings and recordings[-1].message, "the end of the recording")
        assert "was not renewed" in recordings[-1].message, recordings[-1].message
        visitor.find(".banner").get_by_text("Connection lost").wait_for()
        visitor.screenshot("lost-connection")
        visitor.wait_for_idle()
        up()
        network.mend()
        visitor.find(".banner").wait_for(state="detached")
        visitor.hold("none", 3)


def test_two_people_see_who_is_recording(site: Site) -> None:
    first, second = site.see(), site.see(PHONE)
    first.find(".viewers").get_by_text("2 here").wait_for()
    with first.holding("thumbs_up"):
        second.find('.hold[data-label="thumbs_up"]').get_by_text("by somebody else").wait_for()
        second.find(".chip.is-recording").get_by_text("thumbs up").wait_for()
        second.screenshot("two-people")
        second.find('.hold[data-label="none"]').tap(force=True)
        second.find('.shelf[data-label="none"] .problem').get_by_text("Somebody else is recording").wait_for()
        first.wait_for_frames("thumbs_up", 5)
    first.wait_for_idle()
    second.wait_for_idle()
    second.wait_for_frames("thumbs_up", first.frames("thumbs_up"))
    assert second.frames("none") == 0
    second.hold("none", 3)
    first.wait_for_frames("none", 3)


def test_nothing_is_recorded_after_the_button_is_released(site: Site) -> None:
    visitor = site.see()
    for _ in range(3):
        visitor.hold("none", 3)
    saved = visitor.frames("none")
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        visitor.page.wait_for_timeout(100)
        assert visitor.frames("none") == saved
    visitor.find('.shelf[data-label="none"]').get_by_text("3 recordings").wait_for(state="attached")
