"""`hw2 results`: the report's tables in the terminal, and their differences from another revision or experiment."""

import subprocess

import pytest
from conftest import Hw2, Workspace, refused

ACCURACIES = (
    "pair,source only,source only std,dann,dann std,target only,target only std,dann gap closed,dann gap closed std,n,test images\n"
    "a-b,40,1.5,{dann},1,90,0.5,50,3,2,600\n"
    "b-a,30,1,,,95,1,,,2,600\n"
)
DIGITS = "system,digit_accuracy,digit_accuracy std,fid,fid std,7,7 std,n\nacgan/digits,99.5,,,,98,,1\n"


@pytest.fixture
def tables(empty_workspace: Workspace) -> Workspace:
    """A git repository with a commit and a later experiment; the working tree has the commit's tables."""
    folder = empty_workspace.layout.reports / "tables"
    folder.mkdir(parents=True)
    (folder / "digits.csv").write_text(DIGITS)
    for number, dann in enumerate(("61", "64")):
        (folder / "accuracy_last.csv").write_text(ACCURACIES.format(dann=dann))
        commit = ["commit", "--quiet", "--message", "x"]
        for arguments in ([["init", "--quiet"]] * (number == 0)) + [["add", "--all"], commit]:
            identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.org"]
            subprocess.run(["git", *identity, *arguments], cwd=empty_workspace.root, check=True)
    subprocess.run(
        ["git", "update-ref", "refs/exps/12/345/tall-tree", "HEAD"], cwd=empty_workspace.root, check=True
    )
    subprocess.run(["git", "reset", "--quiet", "--hard", "HEAD~1"], cwd=empty_workspace.root, check=True)
    return empty_workspace


@pytest.mark.usefixtures("tables")
def test_tables_show_what_was_measured_with_its_spread(hw2: Hw2) -> None:
    assert hw2("results").out.splitlines() == [
        "Accuracy on the target's test images, %",
        "     source only    DANN  target only",
        "a-b     40 ± 1.5  61 ± 1     90 ± 0.5",
        "",
        "Generated digits",
        "       accuracy, %",
        "ACGAN         99.5",
        "",
    ]


@pytest.mark.usefixtures("tables")
def test_differences_from_an_experiment_carry_the_test_of_the_spread(hw2: Hw2) -> None:
    lines = hw2("results", "--against", "tall-tree").out.splitlines()
    assert lines[2].split("  ")[1:] == ["40 ± 1.5 (=)", "61 ± 1 (-3*)", "90 ± 0.5 (=)"]
    assert hw2("results", "--against", "HEAD").out.count("(=)") == 4


def test_without_results_or_base_there_is_one_line(tables: Workspace, hw2: Hw2) -> None:
    refused(hw2("results", "--against", "nowhere"), "nowhere")
    (tables.layout.reports / "tables" / "digits.csv").write_text("system,x,x std\na,b,c\n")
    refused(hw2("results"), "reports/tables: not as the stage report writes them")
    for path in (tables.layout.reports / "tables").iterdir():
        path.unlink()
    refused(hw2("results"), "reports/tables: no results yet")


def test_results_of_other_params_are_pointed_out(tables: Workspace, hw2: Hw2) -> None:
    said = "Not every stage has run with the present params and data"
    stage = "stages: {a: {params: {params.yaml: {seeds: %s}}, outs: [{path: stages/a, md5: 1}]}}\n"
    for seeds, outdated in (("[0]", False), ("[77]", True)):
        (tables.root / "dvc.lock").write_text(stage % seeds)
        assert (said in hw2("results").out) == outdated
