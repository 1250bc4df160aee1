"""Stage report on a fabricated workspace: what is named is in it, what is not named is not, what is missing is one line."""

import json
import os
import re
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from conftest import Raw, complaint, small_raw
from fabricated import DEVICE, fabricate
from PIL import Image
from reported import BLANK, params_of, rows_below
from reported import undrawn as draw_nothing

from hw2core.engine.journal import read_json, write_metrics
from hw2core.layout import Layout
from hw2core.report import references
from hw2core.report.results import adaptation_table
from hw2core.settings import Params
from hw2core.settings.models import Report
from hw2core.settings.registry import ADAPTERS
from hw2core.settings.validation import validate
from hw2core.stages import report as stage

NOTHING: Raw = {
    "adapters": [],
    "gans": [],
    "autoencoders": [],
    "conditional": {"acgan": [], "ddpm": []},
    "extractors": {"digits": [], "faces": []},
    "pairs": {},
}
FACES = {"extractors": {"digits": [], "faces": ["face_features"]}}
DIGITS = {"extractors": {"digits": ["classifier"], "faces": []}}
FULL = params_of(adapters=["adda", "adamatch"])


def tree(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Layout:
    """A workspace with a report of a system of every kind. Not to be changed."""
    layout = Layout(tmp_path_factory.mktemp("full"))
    fabricate(FULL, layout)
    stage.report(FULL, layout)
    return layout


@pytest.fixture
def copy(full: Layout, tmp_path: Path) -> Layout:
    shutil.copytree(full.root, tmp_path / "copy", copy_function=os.link)
    return Layout(tmp_path / "copy")


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are laid out but not rendered, which takes most of the time."""
    monkeypatch.setattr(stage, "figure_files", lambda figure: BLANK)


@pytest.mark.usefixtures("quick")
def test_faces_without_attributes_leave_a_sentence_in_the_place_of_acgan(copy: Layout) -> None:
    faces = copy.ready(FULL.data.faces)
    about = read_json(faces / "about.json")
    (faces / "about.json").unlink()
    (faces / "about.json").write_text(json.dumps(about | {"attributes": []}))
    shutil.rmtree(copy.stage("train_acgan", "faces"))
    shutil.rmtree(copy.stage("evaluate_acgan", "faces"))
    for split in ("train", "test"):
        labels = faces / f"{split}_labels.npy"
        count = len(np.load(labels))
        labels.unlink()
        np.save(labels, np.zeros((count, 0), dtype=np.uint8))
    stage.report(FULL, copy)
    text = (copy.reports / "report.md").read_text()
    assert (
        f"ACGAN on faces is skipped: it is conditioned on an attribute, and {FULL.data.faces} has none."
        in text
    )
    assert "faces with and without" not in text
    assert re.search(r"(?m)^ *acgan: \[digits, faces\]$", text)  # the params are printed as they are


@pytest.fixture
def undrawn(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are not even laid out."""
    monkeypatch.setattr(stage, "draw", draw_nothing)


def text_of(params: Params, root: Path) -> str:
    layout = Layout(root)
    fabricate(params, layout)
    stage.report(params, layout)
    return (layout.reports / "report.md").read_text(encoding="utf-8")


# --- a report of everything -------------------------------------------------------------------------------------


def test_every_section_has_its_numbers_and_nothing_is_left_of_the_template(full: Layout) -> None:
    text = (full.reports / "report.md").read_text(encoding="utf-8")
    assert re.findall(r"^## (.*)", text, re.M) == [
        "What ran",
        "Results at a glance",
        "Faces",
        "Conditional generation",
        "Domain adaptation",
        "Data",
        "Networks",
        "Params",
        "How to reproduce",
    ]
    assert not re.search(r"\bnan\b|None\b|\{\{|\{%|\n\n\n", text)
    assert "not comparable with results on MNIST-M" in text
    assert DEVICE in text


def test_every_figure_is_shown_and_every_picture_shown_is_a_figure(full: Layout) -> None:
    text = (full.reports / "report.md").read_text(encoding="utf-8")
    shown = re.findall(r"!\[[^\]]*\]\(figures/([^)]+)\)", text)
    assert len(set(shown)) > 30
    assert set(shown) == {path.name for path in (full.reports / "figures").iterdir()}
    for name in shown:
        with Image.open(full.reports / "figures" / name) as picture:
            picture.load()


def test_the_page_is_one_file(full: Layout) -> None:
    """tests/report/test_browser.py looks at what it does in a browser."""
    page = (full.reports / "report.html").read_text(encoding="utf-8").partition("<script")[0]
    sources = re.findall(r"""(?:src|href)\s*=\s*["']([^"']*)""", page)
    assert sources
    assert all(source.startswith(("data:", "#")) for source in sources)
    assert "@import" not in page
    assert "url(http" not in page


def test_the_same_stages_give_the_same_bytes(tmp_path: Path) -> None:
    params = params_of(**NOTHING)
    text_of(params, tmp_path)
    before = tree(tmp_path / "reports")
    shutil.rmtree(tmp_path / "reports")
    stage.report(params, Layout(tmp_path))
    assert tree(tmp_path / "reports") == before


def test_the_printed_accuracies_are_the_evaluations(full: Layout) -> None:
    text = (full.reports / "report.md").read_text(encoding="utf-8")
    rows = rows_below(text, "Domain adaptation")
    column = rows[0].index("AdaMatch")
    (row, *_) = [row for row in rows if row[0] == "blended \u2192 handwritten"]
    a, b = (
        read_json(full.stage("evaluate", "adamatch-blended-handwritten", seed) / "metrics.json")["accuracy"][
            "last"
        ]
        for seed in (0, 1)
    )
    accuracy = row[column].partition(" (")[0].strip("*")
    assert accuracy == f"{(a + b) / 2:.1f}\u00a0±\u00a0{abs(a - b) / 2**0.5:.1f}"


def test_the_tables_have_the_printed_numbers(full: Layout) -> None:
    table = pd.read_csv(full.reports / "tables" / "accuracy_last.csv").set_index("pair")
    expected = adaptation_table(FULL, full, "last").set_index("pair")
    pd.testing.assert_frame_equal(table, expected, rtol=1e-5, check_dtype=False)
    names = {path.stem for path in (full.reports / "tables").iterdir()}
    assert names == {"accuracy_last", "accuracy_chosen", "selection", "faces", "digits"}


def test_every_system_prints_its_layers_and_parameters(full: Layout) -> None:
    text = (full.reports / "report.md").read_text(encoding="utf-8")
    assert re.findall(r"<summary>(.*), layer by layer</summary>", text) == [
        *("Classifier", "ADDA", "AdaMatch", "DCGAN 4x4", "SNGAN", "VAE"),
        *("ACGAN, digits", "ACGAN, faces", "DDPM", "face features"),
    ]
    assert "| SNGAN | one | 2 | 3 x 64 x 64 | 1,007 |\n" in text
    assert "| 1.conv | Conv2d(1, 2\\_) of train_gan sngan | – | 7 |\n" in text


# --- what is not named ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("changes", "headings", "absent"),
    [
        (NOTHING, ["Domain adaptation", "Data", "Networks"], ["DANN", "GAN", "VAE", "DDPM", "drawn_faces"]),
        (NOTHING | FACES | {"gans": ["sngan"]}, ["Faces"], ["VAE", "utoencoder", "DDPM", "DANN", "DCGAN"]),
        (NOTHING | FACES | {"autoencoders": ["vae"]}, ["Faces"], ["GAN", "iscriminator", "DDPM"]),
        (NOTHING | DIGITS | {"conditional": {"acgan": [], "ddpm": ["digits"]}}, [], ["GAN", "drawn_faces"]),
        (NOTHING | DIGITS | {"conditional": {"acgan": ["digits"], "ddpm": []}}, [], ["DDPM", "sampler"]),
        (NOTHING | FACES | {"conditional": {"acgan": ["faces"], "ddpm": []}}, [], ["DDPM", "Digit accuracy"]),
        ({"adapters": ["dsn"], "gans": []}, ["Domain adaptation"], ["DANN", "ADDA", "SNGAN", "iscriminator"]),
        ({"adapters": []}, ["Domain adaptation"], ["DANN", "Gap closed", "Learning curves", "by digit"]),
        ({"pairs": {}}, ["Domain adaptation"], ["DANN", "Gap closed", "Learning curves", "among `pairs`"]),
    ],
)
def test_what_params_do_not_name_is_not_mentioned(
    tmp_path: Path, changes: Raw, headings: list[str], absent: list[str]
) -> None:
    text = text_of(params_of(**changes), tmp_path).partition("All params of this run")[0]
    for heading in headings:
        assert f"\n## {heading}\n" in text
    for word in absent:
        assert word not in text
    assert not re.search(r"\bnan\b|None\b|\n\n\n", text)


@pytest.mark.usefixtures("quick")
def test_without_domains_the_report_is_of_faces(tmp_path: Path) -> None:
    raw = small_raw() | NOTHING | FACES | {"gans": ["sngan"]}
    raw["data"] |= {"domains": [], "color_jitter": []}
    params = validate(raw, "params.yaml")
    text = text_of(params, tmp_path)
    assert re.findall(r"^## (.*)", text, re.M) == [
        *("What ran", "Results at a glance", "Faces", "Networks", "Params", "How to reproduce"),
    ]
    assert text.startswith("# Generated faces\n")


@pytest.mark.usefixtures("undrawn")
def test_seven_methods_on_twelve_pairs_have_all_their_rows_and_figures(tmp_path: Path) -> None:
    domains = ["handwritten", "blended", "printed", "fourth"]
    methods = [*ADAPTERS, "m1", "m2", "m3"]
    small = params_of(**NOTHING)
    pair = params_of().pairs["blended-handwritten"]
    pairs = {
        f"{a}-{b}": pair.model_copy(update={"source": a, "target": b})
        for a in domains
        for b in domains
        if a != b
    }
    data = small.data.model_copy(update={"domains": domains})
    params = small.model_copy(update={"data": data, "adapters": methods, "pairs": pairs, "seeds": [0]})
    text = text_of(params, tmp_path)
    rows = rows_below(text, "Domain adaptation")
    assert rows[0] == [
        *("pair", "source only", "DANN", "ADDA", "DSN", "AdaMatch", "m1", "m2", "m3"),
        *("target only", "test images"),
    ]
    accuracies = [cell for row in rows[2:14] for cell in row[1:-1]]
    assert all(re.fullmatch(r"\d+\.\d( \([+-]\d+\.\d\u00a0n\.s\.\))?", cell) for cell in accuracies)
    assert sum("n.s." in cell for cell in accuracies) == 7 * 12  # one seed: nothing is separated
    figures = {path.name for path in (tmp_path / "reports" / "figures").iterdir()}
    assert len([name for name in figures if name.startswith("features_")]) == 2 * 12


# --- what is missing --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("file", "stage_and_item"),
    [
        ("train_adda/blended-handwritten/seed1/history.csv", "train_adda of blended-handwritten, seed 1"),
        ("train_gan/sngan/seed0/progress.png", "train_gan of sngan, seed 0"),
        ("train_classifier/handwritten/seed0/networks.csv", "train_classifier of handwritten, seed 0"),
        (
            "evaluate/adamatch-handwritten-printed/seed0/metrics.json",
            "evaluate of adamatch-handwritten-printed, seed 0",
        ),
        ("evaluate_autoencoder/vae/seed0/latents.csv", "evaluate_autoencoder of vae, seed 0"),
        ("evaluate_real/faces/metrics.json", "evaluate_real of faces"),
        ("tsne/adda-handwritten-printed/coordinates.csv", "tsne of adda-handwritten-printed"),
        ("sweep_ddpm/digits/sweep.csv", "sweep_ddpm of digits"),
    ],
)
def test_a_malformed_file_is_one_line_and_leaves_the_old_report(
    copy: Layout, file: str, stage_and_item: str
) -> None:
    before, path = tree(copy.reports), copy.stages / file
    path.unlink()
    path.write_bytes(b"\xff\xfe{")
    line = complaint(lambda: stage.report(FULL, copy))
    assert line is not None
    assert re.fullmatch(rf"stages/{file}: .*run stage {stage_and_item} with `hw2 repro`", line)
    assert tree(copy.reports) == before


@pytest.mark.usefixtures("quick")
def test_outputs_of_other_params_are_left_out_as_if_they_were_missing(copy: Layout) -> None:
    folder = copy.stages / "evaluate_gan" / "sngan" / "seed0"
    files = frozenset(str(path.relative_to(copy.root)) for path in folder.iterdir())
    stage.write_report(FULL, copy, files)
    left_out = (copy.reports / "report.md").read_text(encoding="utf-8")
    assert "evaluate_gan of sngan, seed 0" in left_out
    shutil.rmtree(folder)
    stage.report(FULL, copy)
    missing = (copy.reports / "report.md").read_text(encoding="utf-8")
    assert left_out.replace("of other params or data", "not there") == missing


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(
    ("folder", "note"),
    [
        ("train_gan/sngan/seed0", "SNGAN: images of the same latent vectors during training"),
        ("evaluate_gan/sngan/seed0", "SNGAN: generated images"),
        ("evaluate_autoencoder/vae/seed0", "VAE: test images and their reconstructions"),
        ("evaluate_real/faces", "Real test images"),
        ("evaluate_ddpm/digits/seed0", "DDPM: the reverse process"),
        ("sweep_ddpm/digits", "Digits of the same noise at different guidance scales"),
        ("evaluate_acgan/faces/seed0", "The same latent vectors without and with the attribute"),
    ],
)
def test_what_has_not_run_leaves_a_note_in_its_place(copy: Layout, folder: str, note: str) -> None:
    name, item, *seed = folder.split("/")
    shutil.rmtree(copy.stages / folder)
    stage.report(FULL, copy)
    text = (copy.reports / "report.md").read_text(encoding="utf-8")
    assert re.search(
        rf"^\*{note}: stages/{folder}/.*: not there; run stage {name} of .* with `hw2 repro`",
        text.replace("\\", ""),
        re.M,
    )
    which = f"{name} of {item}" + "".join(f", {part.replace('seed', 'seed ')}" for part in seed)
    assert f"- {which}\n" in text.replace("\\", "")
    assert "**Partial report.** 1 of " in text
    assert not re.search(r"\bnan\b|None\b|\n\n\n", text)


@pytest.mark.usefixtures("quick")
def test_with_nothing_run_the_report_has_dashes_and_notes_alone(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    fabricate(FULL, layout)
    shutil.rmtree(layout.stages)
    stage.report(FULL, layout)
    text = (layout.reports / "report.md").read_text(encoding="utf-8")
    assert not re.search(r"\bnan\b|None\b|\n\n\n", text)
    cells = [cell for row in rows_below(text, "Gap closed")[2:] for cell in row[1:]]
    assert cells
    assert set(cells) == {"\u2013"}
    shutil.rmtree(layout.root / "data")
    stage.report(FULL, layout)
    text = (layout.reports / "report.md").read_text(encoding="utf-8")
    note = "data/ready/handwritten: not there; run stage preprocess of handwritten with `hw2 repro`"
    assert note in text.replace("\\", "")


@pytest.mark.parametrize(
    ("folder", "key"),
    [
        ("evaluate/adda-blended-handwritten/seed0", "accuracy"),
        ("train_ddpm/digits/seed0", "parameters"),
        ("evaluate_acgan/faces/seed0", "attribute"),
        ("evaluate_classifier/blended/seed1", "device"),
    ],
)
def test_a_missing_metric_is_one_line(copy: Layout, folder: str, key: str) -> None:
    metrics = read_json(copy.stages / folder / "metrics.json")
    del metrics[key]
    write_metrics(copy.stages / folder, metrics)
    line = complaint(lambda: stage.report(FULL, copy))
    assert line is not None
    assert line.startswith(f"stages/{folder}/metrics.json: has no {key}")
    assert "\n" not in line


# --- published results ------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("quick")
def test_published_results_have_a_table_beside_ours(copy: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    """No embedded pair has published results; here one is given some."""
    pair = "blended-handwritten"
    theirs = references.Reference("R99", pair, 12.34, 98.76, {"adda": 55.55})
    monkeypatch.setattr(references, "REPORTS", (theirs,))
    monkeypatch.setattr(references, "BEST", {pair: (77.0, "DSN")})
    stage.report(FULL, copy)
    rows = rows_below((copy.reports / "report.md").read_text(encoding="utf-8"), "Domain adaptation")
    (ours,) = [row for row in rows if row[1:2] == ["this run"]]
    assert ours[0] == "blended \u2192 handwritten"
    assert ours[-2:] == ["77 (DSN)", "\u2013"]
    (report,) = [row for row in rows if row[1:2] == ["R99"]]
    assert report == ["", "R99", "12.3", "55.5", "\u2013", "98.8", "", ""]


@pytest.mark.usefixtures("quick")
def test_the_report_starts_with_the_reference_that_params_name(copy: Layout) -> None:
    stage.report(FULL.model_copy(update={"report": Report(reference="R21")}), copy)
    text = (copy.reports / "report.md").read_text(encoding="utf-8")
    assert re.findall(r"^## .*", text, re.M)[2:4] == [
        *("## Comparison with R21", "## Faces"),
    ]
    # The embedded images are not the course's, so there is nothing of ours to compare.
    assert "| GAN, FID | 27.9 | \u2013 | \u2013 |" in text
    assert "| usps \u2192 svhn, DSN | 34.36 | \u2013 | \u2013 |" in text
