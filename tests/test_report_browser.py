"""The report's page in Chromium, from the disk; without Chromium or Playwright it is skipped."""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

import pytest
from test_report_command import HOSTILE, run, written

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and find_spec("playwright")), reason="Chromium or Playwright is not here"
)
__all__ = ["run"]


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (1280, "light")])
def test_a_picture_and_a_point_are_opened_by_key_and_by_pointer(run: Path, width: int, scheme: str):
    from playwright.sync_api import expect, sync_playwright

    written(run)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        told: list[str] = []
        page.on("console", lambda line: told.append(line.text))
        page.on("dialog", lambda dialog: told.append(dialog.message))
        page.goto((run / "report.html").as_uri())
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        dialog = page.locator("dialog")

        page.locator(".gallery button").first.focus()
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Enter")
        expect(dialog).to_be_visible()
        assert dialog.locator("h2").text_content() == HOSTILE
        assert "seed" in (dialog.locator("dl").text_content() or "")
        page.keyboard.press("Escape")
        expect(dialog).to_be_hidden()

        page.keyboard.press("ArrowLeft")  # back on the first, which alone is where Tab goes
        assert page.locator(".gallery button[tabindex='0']").count() == 1
        page.keyboard.press("Shift+Tab")
        assert page.evaluate("document.activeElement.type") == "search"

        point = page.locator(".point[data-open]").first
        point.scroll_into_view_if_needed()
        box = point.bounding_box()
        assert box is not None
        page.mouse.click(box["x"] - 6, box["y"] - 6)  # beside it, as a finger is
        expect(dialog).to_be_visible()
        page.keyboard.press("Escape")
        point.hover()
        expect(page.locator(".preview img")).to_be_visible()
        point.press("Enter")
        expect(dialog).to_be_visible()
        page.get_by_role("button", name="Close").click()
        expect(dialog).to_be_hidden()

        page.get_by_label("Find a prompt").fill("a ship")
        assert page.locator(".gallery button:visible").count() == 1
        paper = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
        browser.close()
    assert told == []
