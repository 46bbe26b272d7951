"""Fixtures: the machine's Chromium with a camera that plays pictures of hands, and the real page and node.

Screenshots of each state are kept in the directory THUMB_GESTURE_SCREENSHOTS, by default build/browser.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "ros"))
from harness import PHOTOS, World, free_domain  # noqa: E402
from requirement import skip_or_fail  # noqa: E402

from camera import FakeCamera, pictures_of_hands  # noqa: E402
from site_under_test import Site  # noqa: E402


def chromium() -> str | None:
    """Path of the browser: CHROME, or Chromium on PATH."""
    names = [os.environ.get("CHROME"), "chromium", "chromium-browser", "google-chrome"]
    return next((path for name in names if name and (path := shutil.which(name))), None)


@pytest.fixture(scope="session")
def hands(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Pictures for each label: photos of real hands if there are any, otherwise drawn ones."""
    with free_domain() as domain, World(tmp_path_factory.mktemp("hands"), domain) as world:
        return pictures_of_hands(world, PHOTOS if PHOTOS.is_dir() else None)


@pytest.fixture(scope="session")
def fake_camera(tmp_path_factory: pytest.TempPathFactory, hands: dict[str, Any]) -> FakeCamera:
    """What Chromium takes for the camera of the device."""
    return FakeCamera(tmp_path_factory.mktemp("camera") / "camera.y4m", hands)


@pytest.fixture(scope="session")
def playwright() -> Iterator[Any]:
    """The driver of the browser."""
    executable = chromium()
    if executable is None:
        skip_or_fail("browser", "no Chromium; install it (apt-get install chromium) or set CHROME=/path/to/it")
    if importlib.util.find_spec("playwright") is None:
        skip_or_fail("browser", "Python's playwright is missing; run scripts/setup.sh --tests")
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=15_000)
    with sync_playwright() as driver:
        driver.executable = executable
        yield driver


@pytest.fixture(scope="session")
def browser(playwright: Any, fake_camera: FakeCamera) -> Iterator[Any]:
    """A browser whose camera is `fake_camera`, and which allows pages to use it."""
    browser = playwright.chromium.launch(
        executable_path=playwright.executable,
        args=[
            "--use-fake-device-for-media-stream",
            "--use-fake-ui-for-media-stream",
            f"--use-file-for-fake-video-capture={fake_camera.file}",
        ],
    )
    yield browser
    browser.close()


@pytest.fixture
def open_site(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Site]]:
    """Starts a world with a page; the node and the camera are started by the test."""
    sites: list[Site] = []
    with free_domain() as domain, World(tmp_path, domain) as world:

        def open_it(**parameters: object) -> Site:
            sites.append(Site(world, browser, **parameters))
            return sites[-1]

        yield open_it
        for site in sites:
            site.close()


@pytest.fixture
def own_site(open_site: Callable[..., Site]) -> Site:
    """As `site`, for tests that end its programs or train."""
    site = open_site()
    site.start_robot()
    return site


@pytest.fixture(scope="session")
def robot(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A page, a node, and a camera of the robot, which the tests use one after the other."""
    with free_domain() as domain, World(tmp_path_factory.mktemp("robot"), domain) as world:
        site = Site(world, browser)
        site.start_robot()
        yield site


@pytest.fixture
def site(robot: Site) -> Iterator[Site]:
    """A page, a node, and a camera of the robot that shows thumbs up; nothing is recorded or taught."""
    robot.start_over()
    yield robot
    robot.close()


@pytest.fixture(scope="session")
def lender(browser: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A page that uses the cameras of visitors, and a node, which the tests use one after the other."""
    with free_domain() as domain, World(tmp_path_factory.mktemp("lender"), domain) as world:
        site = Site(world, browser, browser_camera=True)
        world.start_node(image_transport="compressed")
        yield site


@pytest.fixture
def lending_site(lender: Site) -> Iterator[Site]:
    """A page that uses the cameras of visitors; none of them is in use."""
    yield lender
    lender.close()
