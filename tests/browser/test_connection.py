"""What the page says when the server is lost or refuses it, or its camera."""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import urlsplit

from network import Network
from site_under_test import PHONE, Site

# Of the server.
MAX_PAGES = 32

LIVE = "() => document.querySelector('.screen canvas')?.width === 640 && !document.querySelector('.banner')"


def test_connection_that_died_while_nobody_looked_is_missed(site: Site) -> None:
    with Network(site.address) as network:
        visitor = site.see(PHONE, network.address)
        network.cut()
        visitor.look_away(True)
        visitor.look_away(False)
        visitor.find(".banner").get_by_text("Connection lost").wait_for()
        network.mend()
        visitor.find(".banner").wait_for(state="detached")


def test_page_with_the_token_of_an_earlier_start_says_so(open_site: Callable[..., Site]) -> None:
    site = open_site(page_address="0.0.0.0")
    visitor = site.visit(PHONE)
    banner = visitor.find(".banner")
    banner.get_by_text("The gesture node is gone").wait_for()
    port = urlsplit(site.address).port
    assert site.program.end() == 0
    banner.get_by_text("Connection lost").wait_for()
    restarted = open_site(page_address="0.0.0.0", page_port=port)
    banner.get_by_text("token").wait_for()
    visitor.screenshot("old-token")
    # Whoever opens the new address in another tab has the first one back as well.
    visitor.context.new_page().goto(restarted.address)
    visitor.look_away(False)
    banner.get_by_text("The gesture node is gone").wait_for()


def test_page_too_many_says_so_and_goes_on_when_one_is_closed(site: Site) -> None:
    visitor = site.see()
    script = """(count) => Promise.all(Array.from({ length: count }, () => new Promise((resolve) => {
        const socket = new WebSocket(new URL("ws", document.baseURI).href.replace("http", "ws"));
        (window.sockets ??= []).push(socket);
        socket.onopen = resolve;
    })))"""
    visitor.page.evaluate(f"async (count) => {{ await ({script})(count); }}", MAX_PAGES - 1)
    late = site.visit(PHONE)
    late.find(".banner").get_by_text("too many pages").wait_for()
    late.screenshot("too-many-pages")
    visitor.page.evaluate("sockets.forEach((socket) => socket.close())")
    late.find(".banner").wait_for(state="detached")


def test_camera_that_another_device_uses_is_refused_and_closed(lending_site: Site) -> None:
    first, second = lending_site.visit(), lending_site.visit()
    first.use_camera()
    second.wait_for(LIVE)
    second.page.evaluate(
        """() => {
            const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
            navigator.mediaDevices.getUserMedia = async (wanted) => (window.opened = await open(wanted));
        }"""
    )
    second.page.get_by_role("button", name="Use this camera").click()
    second.find(".message.is-error").get_by_text("camera of another device is in use").wait_for()
    second.wait_for("() => opened.getTracks().every(({ readyState }) => readyState === 'ended')")
    second.screenshot("camera-of-another-device")
    assert not first.find(".banner").count()


def test_own_camera_goes_on_after_a_lost_connection(lending_site: Site) -> None:
    with Network(lending_site.address) as network:
        visitor = lending_site.visit(PHONE, network.address)
        visitor.use_camera()
        network.cut()
        visitor.find(".banner").get_by_text("Connection lost").wait_for()
        network.mend()
        visitor.find(".banner").wait_for(state="detached", timeout=30_000)
