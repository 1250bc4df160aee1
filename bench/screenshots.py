"""Screenshots of a report for README.md: wide, on a phone, and in the dark.

    python bench/screenshots.py [reports/report.html] [FOLDER]

Needs Chromium, and playwright from the requirements of development.
"""

import shutil
import sys
from pathlib import Path
from typing import Literal

from PIL import Image
from playwright.sync_api import Page, ViewportSize, sync_playwright

WIDE, PHONE = ViewportSize(width=1280, height=1000), ViewportSize(width=380, height=800)
PART = "#results-at-a-glance"
CHART = ".view[id^=view-features]"
COLORS = 128


def shoot(page: Page, part: str, path: Path) -> None:
    """The screen with the part at its top, once its charts are drawn."""
    page.locator(part).first.scroll_into_view_if_needed()
    page.evaluate("part => document.querySelector(part).scrollIntoView({behavior: 'instant'})", part)
    if page.locator(CHART).count():
        page.wait_for_load_state("networkidle")
    page.screenshot(path=path, animations="disabled")
    with Image.open(path) as picture:
        picture.convert("RGB").quantize(COLORS).save(path, optimize=True)
    print(path)


def main(report: Path, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("google-chrome"), args=["--no-sandbox"]
        )
        views: list[tuple[str, ViewportSize, Literal["light", "dark"], str]] = [
            ("wide", WIDE, "light", PART),
            ("dark", WIDE, "dark", CHART),
            ("phone", PHONE, "light", PART),
        ]
        for name, size, scheme, part in views:
            page = browser.new_page(viewport=size, color_scheme=scheme)
            page.goto(report.resolve().as_uri())
            if page.locator(part).count():
                page.locator(part).first.scroll_into_view_if_needed()
                page.wait_for_timeout(1000)
                shoot(page, part, folder / f"report_{name}.png")
            page.close()
        browser.close()


if __name__ == "__main__":
    given = [Path(argument) for argument in sys.argv[1:]]
    defaults = [Path("reports/report.html"), Path("docs/assets")]
    main(*given, *defaults[len(given) :])
