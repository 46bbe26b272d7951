"""Image files from elsewhere."""

from __future__ import annotations

from pathlib import Path

from images import png_of
from numpy import full, uint8
from site_under_test import Site

FILES = 60
# For each file it would be more than FILES.
MAX_LISTS = 20
IMPORT_MS = 60_000


def write_image(path: Path, gray: int) -> Path:
    """Writes an image of one color."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(png_of(full((48, 64, 3), gray, uint8)))
    return path


def test_import_with_the_frames_in_view_lists_them_a_few_times(site: Site, tmp_path: Path) -> None:
    files = [write_image(tmp_path / "images" / f"{i}.png", 4 * i) for i in range(FILES)]
    visitor = site.see()
    visitor.go_to("Frames")
    visitor.find(".filter", has_text="none").click()
    lists: list[dict[str, object]] = []
    visitor.page.on("request", lambda sent: lists.append(sent.post_data_json) if sent.url.endswith("/api/list_frames") else None)
    with visitor.page.expect_file_chooser() as chooser:
        visitor.page.get_by_role("button", name="choose files").click()
    chooser.value.set_files(files)
    visitor.find(".message").get_by_text(f"{FILES} images added to none").wait_for(timeout=IMPORT_MS)
    visitor.find(".grid img").nth(FILES - 1).wait_for()
    assert len(lists) <= MAX_LISTS, len(lists)
    thumbnails = sum(asked["limit"] for asked in lists if asked["thumbnails"])
    assert thumbnails == FILES, "each one is fetched once"


def test_directory_keeps_its_bursts(site: Site, tmp_path: Path) -> None:
    directory = tmp_path / "none"
    for i, name in enumerate(
        [
            "20260304T050607.089Z_0000.png",
            "20260304T050607.089Z_0001_front.png",
            "20260304T050907.000Z_0000.png",
            "20260304T050907.000Z_0001.png",
            "kitchen/1.png",
            "kitchen/2.png",
            ".trash/3.png",
        ]
    ):
        write_image(directory / name, 30 * i)
    visitor = site.see()
    shelf = visitor.find('.shelf[data-label="none"]')
    shelf.locator("summary").click()
    with visitor.page.expect_file_chooser() as chooser:
        shelf.get_by_text("Add a folder").click()
    chooser.value.set_files(directory)
    visitor.find(".message").get_by_text("6 images added to none").wait_for()
    shelf.get_by_text("3 recordings").wait_for(state="attached")
    assert visitor.frames("none") == 6
    names = {path.name.partition("_")[2] for path in (site.world.dataset / "none").iterdir()}
    assert "0001_front.jpg" in names, "it keeps its camera"
    # All of it is taken back at once.
    shelf.locator(".undo").click()
    visitor.find(".message").get_by_text("6 frames of none taken back").wait_for()
    assert visitor.frames("none") == 0
    visitor.find(".message").get_by_role("button", name="Redo").click()
    visitor.wait_for_frames("none", 6)
