"""The page in Chromium: complete without a network, readable in the dark, on a phone, on paper and by a screen reader.

Run by `pytest -m browser`, which `make test` leaves out and `.ci/run` runs.
"""

import re
import shutil
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from fabricated import fabricate
from reported import params_of

from hw2core.engine.journal import read_json
from hw2core.layout import Layout
from hw2core.stages.report import report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
sync_api = pytest.importorskip("playwright.sync_api")
axe = pytest.importorskip("axe_playwright_python.sync_playwright")
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: `apt-get install chromium`"),
]

FULL = params_of(adapters=["adda", "adamatch"])
PAIR = "blended-handwritten"
POINT = f"#view-features-{PAIR} .mark-symbol.role-mark path"


@dataclass
class Page:
    """A report in the browser, with what it asked for and complained about."""

    page: "sync_api.Page"
    layout: Layout
    problems: list[str] = field(default_factory=list)
    requests: list[str] = field(default_factory=list)

    def watch(self) -> None:
        self.page.on("console", lambda message: self.problems.append(message.text))
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("request", lambda request: self.requests.append(request.url))

    def open(self) -> None:
        self.page.goto((self.layout.reports / "report.html").as_uri())

    def draw_all(self) -> None:
        """Scroll every chart into view, so that it is drawn."""
        for view in self.page.locator(".view").all():
            view.scroll_into_view_if_needed()
        self.page.wait_for_function("document.querySelectorAll('.view:not(.drawn)').length === 0")


@pytest.fixture(scope="module")
def browser() -> Iterator["sync_api.Browser"]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    layout = Layout(tmp_path_factory.mktemp("full"))
    fabricate(FULL, layout)
    report(FULL, layout)
    return layout


@pytest.fixture(scope="module")
def shown(browser: "sync_api.Browser", full: Layout) -> Page:
    """The report of everything, with all its charts drawn."""
    shown = Page(browser.new_page(viewport={"width": 1280, "height": 900}), full)
    shown.watch()
    shown.open()
    shown.draw_all()
    return shown


@pytest.fixture
def page(shown: Page) -> Iterator["sync_api.Page"]:
    """The same page, afterwards as it was before."""
    yield shown.page
    shown.page.emulate_media(color_scheme="light", media="screen")
    shown.page.set_viewport_size({"width": 1280, "height": 900})


def test_the_page_asks_for_nothing_and_complains_about_nothing(shown: Page) -> None:
    assert shown.problems == []
    assert [url for url in shown.requests if not url.startswith(("file:", "data:"))] == []
    assert sum(url.startswith("file:") for url in shown.requests) == 1


def test_every_picture_is_loaded_and_has_a_text(page: "sync_api.Page") -> None:
    pictures = page.eval_on_selector_all(
        "main img", "found => found.map(img => [img.naturalWidth > 0 && img.complete, img.alt])"
    )
    assert len(pictures) > 30
    assert all(loaded and alt for loaded, alt in pictures)


def test_every_accuracy_is_its_metrics(page: "sync_api.Page", full: Layout) -> None:
    """What test_results.py compares in tables, and test_report.py in Markdown, is what the page shows."""
    table = page.locator("h2#domain-adaptation ~ .table table").first
    heads = table.locator("thead th").all_inner_texts()
    rows = [row.locator("th, td").all_inner_texts() for row in table.locator("tbody tr").all()]
    for pair in FULL.pairs:
        (row,) = [
            dict(zip(heads, row, strict=True)) for row in rows if row[0] == pair.replace("-", " \u2192 ")
        ]
        for method, heading in (("adda", "ADDA"), ("adamatch", "AdaMatch")):
            values = [
                read_json(full.stage("evaluate", f"{method}-{pair}", seed) / "metrics.json")["accuracy"][
                    "last"
                ]
                for seed in FULL.seeds
            ]
            assert row[heading].startswith(f"{sum(values) / len(values):.1f}")


def test_every_table_of_the_markdown_is_on_the_page_cell_by_cell(page: "sync_api.Page", full: Layout) -> None:
    text = (full.reports / "report.md").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line.startswith("| ") and not line.startswith("|:--")]
    cells = [re.split(r"(?<!\\)\|", line)[1:-1] for line in lines]
    expected = [[re.sub(r"[\\*`]", "", cell).strip() for cell in row] for row in cells]
    found = page.eval_on_selector_all(
        "main table tr", "rows => rows.map(row => [...row.cells].map(cell => cell.textContent.trim()))"
    )
    assert [[cell.replace("*", "") for cell in row] for row in found] == expected


def test_the_page_fits_a_phone(page: "sync_api.Page") -> None:
    page.set_viewport_size({"width": 380, "height": 800})
    page.wait_for_timeout(0)
    assert page.evaluate("document.documentElement.scrollWidth") == 380
    assert not page.locator("nav ol").is_visible()
    page.locator("nav summary").click()
    page.locator("nav a", has_text="Networks").click()
    assert page.evaluate("location.hash") == "#networks"


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_serious(page: "sync_api.Page", scheme: str) -> None:
    page.emulate_media(color_scheme=scheme)
    found = axe.Axe().run(page).response["violations"]
    serious = [
        (each["id"], each["nodes"][0]["html"][:200])
        for each in found
        if each["impact"] in ("serious", "critical")
    ]
    assert serious == []


def test_the_dark_page_is_dark(page: "sync_api.Page") -> None:
    page.emulate_media(color_scheme="dark")
    paper, ink = page.evaluate(
        "[...['backgroundColor', 'color'].map(name => getComputedStyle(document.body)[name])]"
    )
    brightness = [sum(map(int, re.findall(r"\d+", found)[:3])) for found in (paper, ink)]
    assert brightness[0] < 150
    assert brightness[1] > 600


def test_a_point_of_a_map_shows_its_image_and_labels(page: "sync_api.Page") -> None:
    page.locator(POINT).first.hover(force=True)
    shown = page.locator("#vg-tooltip-element.visible")
    assert shown.locator("img").evaluate("img => img.decode().then(() => img.naturalWidth)") == 8
    assert re.search(r"domain\W+blended\s+true label\W+\d\s+predicted\W+\d", shown.inner_text())


def test_a_map_has_a_point_for_each_image_of_the_chosen_network(page: "sync_api.Page") -> None:
    chart = page.locator(f"#view-features-{PAIR}")
    for name in ("source only", "ADDA", "AdaMatch"):
        chart.get_by_label(name, exact=True).check()
        assert page.locator(POINT).count() == 20
    chart.get_by_label("domain", exact=True).check()
    fills = page.locator(POINT).evaluate_all("points => points.map(point => point.getAttribute('fill'))")
    assert len(set(fills)) == 2


def test_curves_can_be_switched_off(page: "sync_api.Page") -> None:
    lines = page.locator("#view-curves .mark-line.role-mark path")
    before = lines.count()
    page.locator("#view-curves").get_by_role("checkbox", name="ADDA").uncheck()
    page.wait_for_function(
        "n => document.querySelectorAll('#view-curves .mark-line.role-mark path').length < n", arg=before
    )
    page.locator("#view-curves").get_by_role("checkbox", name="ADDA").check()


NEW_IMAGE = """([text, seen]) => {
  const svg = document.querySelector('#view-reverse svg'), image = svg.querySelector('image');
  const address = image && (image.getAttribute('href') || image.getAttribute('xlink:href'));
  return svg.textContent.includes(text) && !seen.includes(address) && address;
}"""
"""The address of a picture that was not shown before, once it stands beside this text."""


def test_the_slider_goes_through_the_reverse_process(page: "sync_api.Page") -> None:
    slider = page.locator("#view-reverse input[type=range]")
    images: list[str] = []
    for state, t in enumerate((999, 500, 0)):
        slider.fill(str(state))
        shown = page.wait_for_function(NEW_IMAGE, arg=[f"t = {t}", images])
        images.append(shown.json_value())


def test_a_picture_enlarges_and_closes_by_keyboard(page: "sync_api.Page") -> None:
    button = page.locator(".enlarge:visible").first
    button.focus()
    page.keyboard.press("Enter")
    dialog = page.locator("dialog")
    assert dialog.is_visible()
    assert dialog.locator("img").get_attribute("alt") == button.locator("img").get_attribute("alt")
    page.keyboard.press("Escape")
    assert not dialog.is_visible()
    assert page.evaluate("document.activeElement.className") == "enlarge"


def test_paper_has_every_static_figure_and_no_controls(page: "sync_api.Page") -> None:
    page.emulate_media(media="print")
    hidden = page.eval_on_selector_all(
        "main figure img", "found => found.filter(img => !img.checkVisibility()).length"
    )
    assert hidden == 0
    assert not page.locator("nav").is_visible()
    assert page.locator(".view:visible").count() == 0


def test_without_scripts_the_static_figures_stand(browser: "sync_api.Browser", full: Layout) -> None:
    plain = browser.new_page(java_script_enabled=False)
    plain.goto((full.reports / "report.html").as_uri())
    assert plain.locator("main figure:visible").count() == plain.locator("main figure").count() > 30
    assert plain.locator(".view:visible").count() == 0
    plain.close()


def test_a_partial_report_is_whole_too(browser: "sync_api.Browser", full: Layout, tmp_path: Path) -> None:
    layout = Layout(tmp_path / "partial")
    shutil.copytree(full.root, layout.root)
    for name in ("evaluate", "train_gan", "tsne", "evaluate_real", "sweep_ddpm", "train_adda"):
        shutil.rmtree(layout.stages / name)
    report(FULL, layout)
    partial = Page(browser.new_page(viewport={"width": 380, "height": 800}), layout)
    partial.watch()
    partial.open()
    partial.draw_all()
    assert partial.problems == []
    assert partial.page.evaluate("document.documentElement.scrollWidth") == 380
    assert "Partial report." in partial.page.locator(".banner").all_inner_texts()[1]
    partial.page.close()
