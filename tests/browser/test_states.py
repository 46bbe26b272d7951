"""What the page shows when something is wrong, unusual or large."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from typing import Any

from harness import CAMERA, NEWEST
from images import png_of
from numpy import uint8, zeros
from sensor_msgs.msg import Image
from site_under_test import DESKTOP, PHONE, Site, Visitor

MARKUP = "<img src=x onerror=alert(1)>"
MANY = 1000


def test_node_that_is_killed_is_missed_and_found_again(own_site: Site) -> None:
    visitor = own_site.see()
    node = own_site.last("thumb_gesture_node")
    node.process.send_signal(signal.SIGKILL)
    own_site.world.programs.remove(node)
    visitor.find(".banner").get_by_text("The gesture node is gone").wait_for()
    assert visitor.find(".banner").get_attribute("role") == "alert"
    visitor.screenshot("node-gone")
    own_site.world.start_node(image_reliability="reliable")
    visitor.find(".banner").wait_for(state="detached")
    visitor.find(".gesture").wait_for()
    visitor.hold("none", 3)


def test_silent_and_frozen_cameras_cannot_be_overlooked(site: Site) -> None:
    visitor = site.see()
    assert site.camera().end() == 0
    banner = visitor.find(".banner")
    banner.get_by_text("The camera is silent").or_(banner.get_by_text("The picture is not live")).first.wait_for()
    visitor.screenshot("camera-silent")
    box, screen = banner.bounding_box(), visitor.find(".screen").bounding_box()
    assert box["width"] * box["height"] > 0.9 * screen["width"] * screen["height"]
    frozen = site.start_camera("--frozen")
    frames = site.world.listen(Image, CAMERA, NEWEST)
    site.world.wait_for(lambda: len(frames) > 15, "frames of the frozen camera", frozen)
    banner.get_by_text("The picture is not live").wait_for()
    assert not visitor.find(".gesture").count(), "no gesture that could be believed"
    assert frozen.end() == 0


def test_frames_that_cannot_be_shown_are_named(own_site: Site) -> None:
    visitor = own_site.see()
    assert own_site.camera().end() == 0
    visitor.page.reload()
    publisher = own_site.world.camera_publisher(reliable=True)
    depth = Image(width=4, height=2, step=8, encoding="16UC1", data=bytes(16))

    def publish() -> None:
        depth.header.stamp = own_site.world.peer.get_clock().now().to_msg()
        publisher.publish(depth)

    told = visitor.find(".banner").get_by_text("bad frames")
    own_site.world.publish_until(told.count, "a banner with what the node says about its camera", publish, 0.06)
    visitor.screenshot("frames-not-shown")


def test_browser_that_keeps_nothing_shows_the_page(site: Site) -> None:
    visitor = site.see()
    visitor.context.add_init_script(
        """for (const name of ["localStorage", "sessionStorage"]) {
            Object.defineProperty(window, name, { get() { throw new DOMException("blocked", "SecurityError"); } });
        }"""
    )
    visitor.page.reload()
    visitor.find(".gesture").wait_for()
    visitor.hold("none", 3)


def test_page_is_not_translated_by_the_browser(site: Site) -> None:
    visitor = site.see()
    # A translation replaces texts, after which the page cannot change them any more.
    assert visitor.page.evaluate("document.documentElement.translate") is False


def test_a_training_is_cancelled(site: Site) -> None:
    visitor = site.see()
    for label in ["thumbs_up", "none"]:
        visitor.hold(label, 6)
    visitor.button("Train").click()
    visitor.button("Cancel training").click()
    visitor.find(".training .outcome").get_by_text("The training was cancelled").wait_for()
    visitor.button("Train").wait_for()


def test_server_that_ends_is_missed(own_site: Site) -> None:
    visitor = own_site.see()
    assert own_site.program.end() == 0
    visitor.find(".banner").get_by_text("Connection lost").wait_for()
    visitor.find('.hold[data-label="none"]').click()
    visitor.find('.shelf[data-label="none"] .problem').get_by_text("no connection").wait_for()
    assert visitor.button("Train").get_attribute("aria-disabled") == "true"


def test_labels_with_markup_are_text(site: Site) -> None:
    directory = site.world.dataset / MARKUP
    directory.mkdir(parents=True)
    (directory / "a.png").write_bytes(png_of(zeros((48, 64, 3), uint8)))
    visitor = site.see()
    visitor.page.on("dialog", lambda dialog: visitor.errors.append(dialog.message))
    # The node counts again what is in the dataset.
    visitor.page.keyboard.down("3")
    visitor.wait_for_frames("none", 10)
    visitor.page.keyboard.up("3")
    visitor.find(".note", has_text=MARKUP).wait_for()
    visitor.screenshot("markup")
    for view in ["Frames", "Models", "Settings", "Teach"]:
        visitor.go_to(view)
        assert not visitor.find("img[src=x]").count()


def test_thousand_thumbnails_are_scrolled_selected_and_moved(site: Site, hands: Any) -> None:
    picture = png_of(zeros((24, 32, 3), uint8))
    for label in ["none", "thumbs_up"]:
        (site.world.dataset / label).mkdir(parents=True)
        for i in range(MANY // 2):
            (site.world.dataset / label / f"{i:04}.png").write_bytes(picture)
    visitor = site.see()
    visitor.hold("thumbs_down", 3)
    visitor.wait_for_frames("none", MANY // 2)
    visitor.go_to("Frames")
    options = visitor.find(".grid [role=option]")
    options.nth(199).wait_for()
    visitor.page.route("**/api/list_frames", lambda route: route.abort())
    visitor.find(".grid-end").scroll_into_view_if_needed()
    again = visitor.page.get_by_role("button", name="Try again")
    again.wait_for()
    visitor.find(".message.is-error").get_by_text("does not answer").wait_for()
    visitor.page.unroute("**/api/list_frames")
    again.click()
    options.nth(399).wait_for()
    while options.count() < MANY:
        before = options.count()
        visitor.find(".grid-end").scroll_into_view_if_needed()
        visitor.wait_for("(before) => document.querySelectorAll('.grid [role=option]').length > before", before)
    visitor.screenshot("thousand-frames")
    options.first.click()
    options.nth(9).click(modifiers=["Shift"])
    visitor.find(".selection").get_by_text("10 frames").wait_for()
    visitor.screenshot("selection")
    visitor.find(".selection select").select_option("thumbs_up")
    visitor.find(".filter", has_text="thumbs up").get_by_text(str(MANY // 2 + 10)).wait_for()
    visitor.find(".view-head").get_by_role("button", name="Undo").click()
    visitor.find(".filter", has_text="thumbs up").get_by_text(str(MANY // 2), exact=True).wait_for()
    # The keyboard alone.
    options.first.focus()
    for key in ["ArrowRight", "Space", "ArrowDown", "Space"]:
        visitor.page.keyboard.press(key)
    visitor.find(".selection").get_by_text("2 frames").wait_for()
    visitor.page.keyboard.press("Delete")
    visitor.find(".filter", has_text="none").get_by_text(str(MANY // 2 - 2), exact=True).wait_for()


def test_wrong_files_are_refused_with_the_reason(site: Site, tmp_path: Any) -> None:
    visitor = site.see()
    good, rubbish, huge = tmp_path / "good.png", tmp_path / "broken.jpg", tmp_path / "huge.jpg"
    good.write_bytes(png_of(zeros((48, 64, 3), uint8)))
    rubbish.write_bytes(os.urandom(5000))
    with huge.open("wb") as file:
        file.truncate(1 << 30)
    visitor.find('.shelf[data-label="none"] summary').click()
    with visitor.page.expect_file_chooser() as chooser:
        visitor.find('.shelf[data-label="none"]').get_by_text("Add images").click()
    chooser.value.set_files([good, rubbish, huge])
    message = visitor.find(".message.is-error")
    message.get_by_text("1 image added to none; 2 refused").wait_for()
    assert "broken.jpg" in message.inner_text()
    visitor.screenshot("rubbish")
    visitor.wait_for_frames("none", 1)
    assert visitor.frames("none") == 1


def test_labels_are_added_renamed_and_removed(site: Site) -> None:
    visitor = site.see(PHONE)
    visitor.page.get_by_role("button", name="Add a label").click()
    dialog = visitor.page.get_by_role("dialog")
    dialog.get_by_role("textbox").fill("über")
    dialog.get_by_text("without accents").wait_for()
    dialog.get_by_role("textbox").fill("open hand")
    dialog.get_by_role("button", name="Add").click()
    visitor.hold("open_hand", 3)
    saved = visitor.frames("open_hand")
    menu = visitor.find('.shelf[data-label="open_hand"] .menu')
    menu.locator("summary").click()
    menu.get_by_text("Rename").click()
    dialog.get_by_role("textbox").fill("palm")
    dialog.get_by_role("button", name="Rename").click()
    visitor.wait_for_frames("palm", saved)
    visitor.find('.shelf[data-label="open_hand"]').wait_for(state="detached")
    menu = visitor.find('.shelf[data-label="palm"] .menu')
    menu.locator("summary").click()
    menu.get_by_text("Remove").click()
    dialog.get_by_role("button", name="Remove").click()
    visitor.find('.shelf[data-label="palm"]').wait_for(state="detached")
    visitor.page.get_by_role("button", name="Undo", exact=True).last.click()
    visitor.wait_for_frames("palm", saved)


def test_sliders_act_at_once_and_show_what_the_node_has(site: Site) -> None:
    first, second = site.see(), site.see(PHONE)
    for visitor in (first, second):
        visitor.go_to("Settings")
    first.find("#setting-threshold").fill("0.9")
    second.find('.setting[data-name="threshold"] output').get_by_text("0.9").wait_for()
    second.screenshot("settings-phone")
    second.page.get_by_role("button", name="Reset all").click()
    first.find('.setting[data-name="threshold"] output').get_by_text("0.5").wait_for()


def test_camera_that_may_not_be_used_is_explained(lending_site: Site, playwright: Any) -> None:
    browser = playwright.chromium.launch(
        executable_path=playwright.executable,
        args=["--use-fake-device-for-media-stream", "--deny-permission-prompts"],
    )
    try:
        context = browser.new_context(**DESKTOP)
        visitor = Visitor(context, lending_site.address, is_touch=False)
        visitor.page.get_by_role("button", name="Use this device’s camera").click()
        visitor.find(".camera-problem").get_by_text("may not use the camera").wait_for()
        visitor.screenshot("camera-denied")
        visitor.page.get_by_role("button", name="Try again").wait_for()
        context.close()
        assert not visitor.errors, visitor.errors
    finally:
        browser.close()


def test_wrong_token_is_a_page_that_says_what_to_do(open_site: Callable[..., Site]) -> None:
    site = open_site(page_address="0.0.0.0")
    address = site.address
    assert "token=" in address
    wrong = site.visit(PHONE, address[:-4] + "AAAA")
    wrong.find("h1").wait_for()
    wrong.screenshot("wrong-token")
    assert "token" in wrong.page.inner_text("body").lower()
    assert not wrong.find(".hold").count()
    right = site.visit(PHONE, address)
    right.find(".hold").first.wait_for()
    assert "token" not in right.page.url, "it is not in the address bar any more"
