"""`hw2 publish`: what is published of a finished run, what is refused, and that documents say what the metrics say."""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest
from conftest import ROOT, Hw2, Raw, refused
from PIL import Image
from pipeline_run import PipelineRun, change_params

from hw2core import publish
from hw2core.layout import Layout
from hw2core.report.figures.style import figure_files
from hw2core.settings import load_params
from hw2core.settings.validation import validate
from hw2core.stages import report
from hw2core.stages.report import build

pytestmark = pytest.mark.filterwarnings("default")  # of DVC's libraries

DOCUMENT = """\
# Results

<!-- published mine adaptation -->
<!-- end published -->

<!-- published mine adaptation-beside-others -->
<!-- end published -->

<!-- published mine digits -->
<!-- end published -->

<!-- published mine faces -->
<!-- end published -->
"""


def commit(root: Path) -> None:
    identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org"]
    for command in (["add", "--all"], [*identity, "commit", "--quiet", "--message", "x"]):
        subprocess.run(["git", *command], cwd=root, check=True)


@pytest.fixture
def run(pipeline: PipelineRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A finished run of every system, committed."""
    root = pipeline.copy_to(tmp_path / "run")
    (root / "README.md").write_text(DOCUMENT)
    commit(root)
    monkeypatch.chdir(root)
    return root


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures are laid out but not rendered, which takes most of the time."""
    blank = figure_files(Image.new("RGB", (1, 1)))
    monkeypatch.setattr(report, "figure_files", lambda figure: blank)


def test_a_finished_run_is_published_and_quoted(run: Path, hw2: Hw2) -> None:
    done = hw2("publish", "mine")
    home = run / "reports" / "published" / "mine"
    assert done.out.splitlines() == [str(home), "wrote the tables of README.md"]
    for path in run.glob("stages/*/*/seed0/metrics.json"):
        assert (home / path.relative_to(run)).read_bytes() == path.read_bytes()
    published = {path.name for path in (home / "stages").rglob("*") if path.is_file()}
    assert published == {"metrics.json", "history.csv", "sweep.csv", "networks.csv"}
    assert (home / "report.html").stat().st_size < publish.MAX_PAGE
    figures = {*re.findall(r"\(figures/([\w-]+\.png)\)", (home / "report.md").read_text())}
    assert figures == {path.name for path in (home / "figures").iterdir()}
    head = subprocess.run(["git", "rev-parse", "HEAD"], cwd=run, capture_output=True, text=True, check=True)
    assert f"git checkout {head.stdout.strip()}" in (home / "README.md").read_text()
    facts = json.loads((home / "environment.json").read_text())
    assert facts["commit"] == head.stdout.strip()
    assert all(device.startswith("cpu") for device in facts["devices"])

    accuracy = json.loads((home / "stages/evaluate/dann-printed-blended/seed0/metrics.json").read_text())
    quoted = (run / "README.md").read_text()
    (row,) = [
        line for line in quoted.splitlines() if line.startswith("| printed → blended |") and "(" not in line
    ]
    assert row.split(" | ")[2] == f"{accuracy['accuracy']['last']:.1f}"
    assert "StyleGAN2" in quoted
    assert "DDPM" in quoted
    check = hw2("publish", "--check")
    assert (check.status, check.out) == (
        0,
        "README.md and docs/results.md say what the published metrics say.\n",
    )

    changed = row.replace(" | ", " | 9", 1)
    (run / "README.md").write_text(quoted.replace(row, changed) + "\nIt reaches 99.9 % of them.\n")
    check = hw2("publish", "--check")
    assert check.status == 1
    number = quoted.splitlines().index(row) + 1
    assert check.out.splitlines() == [
        f"README.md:{number}: {changed!r} is not {row!r}",
        "README.md: '99.9 %' stands in the text, not in a table of a published run",
    ]
    assert hw2("publish").out == "wrote the tables of README.md\n"
    assert row in (run / "README.md").read_text().splitlines()


@pytest.mark.usefixtures("quick")
def test_a_published_run_can_be_published_again_in_its_place(run: Path, hw2: Hw2) -> None:
    assert hw2("publish", "mine").status == 0
    commit(run)
    (run / "reports" / "published" / "mine" / "left.txt").write_text("x")
    assert hw2("publish", "mine").status == 0
    assert not (run / "reports" / "published" / "mine" / "left.txt").exists()


def test_what_others_could_not_repeat_is_refused(run: Path, hw2: Hw2) -> None:
    (run / "params.yaml").write_text((run / "params.yaml").read_text() + "# a comment\n")
    refused(hw2("publish", "mine"), "params.yaml not committed")
    change_params(run, lambda raw: raw["dann"].update(lr=7e-3))
    commit(run)
    refused(
        hw2("publish", "mine"),
        "dvc.lock is older than the code, the params or the results: evaluate@dann-",
    )
    assert not (run / "reports" / "published").exists()


def test_changed_results_are_refused(run: Path, hw2: Hw2) -> None:
    metrics = run / "stages" / "evaluate_ddpm" / "digits" / "seed0" / "metrics.json"
    metrics.write_text(metrics.read_text().replace('"digit_accuracy": ', '"digit_accuracy": 9'))
    commit(run)
    refused(hw2("publish", "mine"), "evaluate_ddpm@digits-0")


@pytest.mark.usefixtures("quick")
def test_models_may_be_missing_but_metrics_may_not(run: Path, hw2: Hw2) -> None:
    shutil.rmtree(run / "models")
    assert hw2("publish", "mine").status == 0
    (run / "stages" / "evaluate_ddpm" / "digits" / "seed0" / "metrics.json").unlink()
    commit(run)
    refused(hw2("publish", "other"), "evaluate_ddpm/digits/seed0/metrics.json")


@pytest.mark.parametrize("name", ["", "..", "a/b", "a b", "x" * 61, "é"])
def test_a_run_has_a_plain_name(run: Path, name: str) -> None:
    with pytest.raises(publish.UserError, match="named by letters"):
        publish.publish(Layout(run), name)


def test_a_folder_called_as_a_published_dataset_is_refused(raw: Raw) -> None:
    publish.check_names(validate(raw, "params.yaml"))
    raw["data"] |= {"source": {"svhn": "folder", "mnistm": "public"}, "domains": ["svhn", "mnistm"]}
    raw["data"] |= {
        "digits": "mnistm",
        "color_jitter": [],
        "folder": {"paths": {"svhn": "~/svhn"}, "test": 0.2},
    }
    raw["pairs"] = {"svhn-mnistm": {"source": "svhn", "target": "mnistm"}}
    with pytest.raises(publish.UserError, match="svhn is a folder of yours"):
        publish.check_names(validate(raw, "params.yaml"))


@pytest.mark.usefixtures("quick")
def test_images_of_datasets_and_paths_of_a_machine_stay_here(run: Path) -> None:
    params = load_params(run / "params.yaml")
    shown, everything = (build(params, Layout(run), public=public) for public in (True, False))
    assert {*everything.figures} - {*shown.figures} == {
        "samples",
        "real_samples",
        "vae_reconstructions",
        "vae_interpolation",
        "acgan_digits_neighbors",
        "acgan_faces_neighbors",
        "ddpm_digits_neighbors",
    }
    assert "Figures that show images of the datasets are left out" in shown.text
    assert "Real test images" not in shown.text
    course = params.data.course.model_copy(update={"path": "/home/someone/hw2_data"})
    local = params.model_copy(update={"data": params.data.model_copy(update={"course": course})})
    assert "someone" in build(local, Layout(run)).text
    assert "someone" not in build(local, Layout(run), public=True).text
    raw = {"data": {"mirror": "/a", "course": {"path": "/b"}, "folder": {"paths": {"meters": "/c"}}}}
    assert report.without_paths(raw) == {
        "data": {"mirror": None, "course": {"path": None}, "folder": {"paths": {"meters": ""}}}
    }


@pytest.mark.usefixtures("quick")
def test_a_document_that_quotes_what_is_not_there_is_one_line(run: Path, hw2: Hw2) -> None:
    refused(hw2("publish", "--check"), "README.md: there is no published run mine")
    refused(hw2("publish", "mine", "--check"), "it takes no NAME")
    refused(hw2("publish", ""), "an argument is empty")
    assert hw2("publish", "mine").status == 0
    (run / "README.md").write_text("<!-- published mine tables -->\n<!-- end published -->\n")
    refused(hw2("publish"), "there is no table tables of a published run, but adaptation, ")


def test_the_documents_of_this_repository_say_what_its_metrics_say(
    hw2: Hw2, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    assert hw2("publish", "--check").status == 0
    assert len((ROOT / "README.md").read_text().splitlines()) < 150
