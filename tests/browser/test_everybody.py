"""Everybody can use the page: with a keyboard, a screen reader, on small and large screens, over a slow network."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import itertools
import re
from pathlib import Path

from harness import LABELS, REPOSITORY
from site_under_test import DESKTOP, LARGE, PHONE, SMALL_PHONE, Site, Visitor

ASSETS = REPOSITORY / "src" / "bin" / "teach_page" / "assets"
MAX_FIRST_LOAD = 100_000
SIZES = {"320": SMALL_PHONE, "390": PHONE, "1280": DESKTOP, "3840": LARGE}
# Of axe: all rules of WCAG 2.2 at levels A and AA, and its best practices.
AXE = "axe.run(document, {resultTypes: ['violations'], rules: {'target-size': {enabled: true}}})"


def violations(visitor: Visitor) -> list[str]:
    """What axe finds on the page as it is now."""
    if not visitor.page.evaluate("typeof axe !== 'undefined'"):
        found = importlib.util.find_spec("axe_playwright_python")
        assert found is not None and found.origin is not None
        # Not as an element of the page: its security policy forbids that.
        visitor.page.evaluate((Path(found.origin).parent / "axe.min.js").read_text())
    results = visitor.page.evaluate(AXE)
    return [
        f"{each['id']}: {each['help']}: {[node['html'][:160] for node in each['nodes'][:3]]}"
        for each in results["violations"]
    ]


def test_axe_finds_no_violation_in_any_state(own_site: Site) -> None:
    visitor = own_site.see(DESKTOP | {"reduced_motion": "reduce"})

    def check(state: str) -> None:
        for scheme in ["light", "dark"]:
            visitor.page.emulate_media(color_scheme=scheme)
            visitor.screenshot(f"{state}-{scheme}")
            assert not violations(visitor), f"{state}, {scheme}"

    check("empty")
    with visitor.holding("thumbs_up"):
        visitor.wait_for_frames("thumbs_up", 3)
        check("recording")
    visitor.wait_for_idle()
    for label in LABELS[:2]:
        visitor.hold(label, 3)
    visitor.page.get_by_role("button", name="That was wrong").click()
    check("dialog")
    visitor.page.keyboard.press("Escape")
    visitor.button("Train").click()
    visitor.find(".training progress").wait_for()
    check("training")
    visitor.find(".training .outcome").wait_for(timeout=90_000)
    details = visitor.find(".training .more summary")
    if details.count():
        details.click()
    check("result")
    visitor.go_to("Frames")
    visitor.find(".grid [role=option]").first.click()
    check("frames")
    visitor.go_to("Models")
    visitor.find(".model").last.wait_for()
    check("models")
    visitor.go_to("Settings")
    visitor.find(".setting").first.wait_for()
    check("settings")
    visitor.go_to("Teach")
    assert own_site.camera().end() == 0
    visitor.find(".banner").wait_for()
    check("silent")


def test_nothing_is_cut_off_on_any_screen(site: Site) -> None:
    for size, scheme in itertools.product(SIZES, ["light", "dark"]):
        visitor = site.see(SIZES[size] | {"color_scheme": scheme, "reduced_motion": "reduce"})
        for view in ["Teach", "Frames", "Models", "Settings"]:
            visitor.go_to(view)
            visitor.find("main h1, main .hold").first.wait_for()
            wide = visitor.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wide <= 0, f"{view} is {wide} pixels too wide for {size}"
            visitor.screenshot(f"size-{size}-{scheme}-{view.lower()}")
        visitor.go_to("Teach")
        for label in LABELS:
            box = visitor.find(f'.hold[data-label="{label}"]').bounding_box()
            height = visitor.page.viewport_size["height"]
            assert box["y"] >= 0 and box["y"] + box["height"] <= height, f"{label} is out of reach"
            assert min(box["width"], box["height"]) >= 44
        if visitor.is_touch:
            assert box["y"] > height / 2, "a thumb reaches the lower half"
        visitor.context.close()


def test_keyboard_alone_reaches_everything_and_its_focus_is_seen(site: Site) -> None:
    visitor = site.see()
    reached = []
    for _ in range(40):
        visitor.page.keyboard.press("Tab")
        name, outline = visitor.page.evaluate(
            "(() => { const e = document.activeElement; return [e.ariaLabel || e.textContent.trim(), getComputedStyle(e).outlineStyle]; })()"
        )
        if visitor.page.evaluate("document.activeElement === document.body"):
            break
        reached.append(name)
        assert outline != "none", f"{name} shows no focus"
    for name in ["Skip to Teach", "Frames", "Models", "Settings", "That was wrong", "+ Add a label"]:
        assert name in reached, reached
    assert any(name.startswith("thumbs up") for name in reached)


def test_screen_reader_hears_the_gesture_and_what_is_wrong(site: Site) -> None:
    visitor = site.see()
    heard = visitor.find("[data-announced]")
    assert heard.get_attribute("aria-live") == "polite"
    assert site.camera().end() == 0
    visitor.find("[data-announced]", has_text=re.compile("silent|not live")).wait_for(state="attached")
    # It can record by the click that assistive technology makes of a press.
    site.start_camera()
    visitor.find(".banner").wait_for(state="detached")
    visitor.find('.hold[data-label="none"]').evaluate("(button) => button.click()")
    visitor.wait_for_frames("none", 3)
    visitor.find('.hold[data-label="none"]').evaluate("(button) => button.click()")
    visitor.wait_for_idle()


def test_first_load_is_small_and_stays_on_this_host(site: Site) -> None:
    loaded: dict[str, int] = {}
    visitor = site.visit(DESKTOP, "about:blank")
    visitor.page.on("response", lambda response: loaded.update({response.url: len(gzip.compress(response.body()))}))
    visitor.page.goto(site.address)
    visitor.find(".hold").first.wait_for()
    visitor.page.wait_for_load_state("networkidle")
    assets = {url: size for url, size in loaded.items() if "/api/" not in url}
    print(f"first load: {len(assets)} files, {sum(assets.values())} bytes with gzip")
    assert all(url.startswith(site.address) for url in loaded), loaded
    assert len(assets) > 30 and sum(assets.values()) < MAX_FIRST_LOAD


def test_vendored_files_are_those_that_the_readme_names() -> None:
    rows = re.findall(r"`(vendor/\S+)`.*`([0-9a-f]{64})`", (ASSETS / "README.md").read_text())
    assert len(rows) == len(list(ASSETS.glob("vendor/*.js")))
    for name, digest in rows:
        assert hashlib.sha256((ASSETS / name).read_bytes()).hexdigest() == digest, name


def test_readme_names_every_file() -> None:
    named = set(re.findall(r"`([a-z_]+\.(?:js|css))`", (ASSETS / "README.md").read_text()))
    assert named == {path.name for path in ASSETS.iterdir() if path.suffix in (".js", ".css")}
