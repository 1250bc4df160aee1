"""Commands that measure and compare."""

import sys
from typing import Annotated

import typer

from hw2core.errors import UserError
from hw2core.layout import find_workspace
from hw2core.stages.dispatch import run_stage

app = typer.Typer()
PANEL = "Results"


@app.command(rich_help_panel=PANEL)
def results(
    against: Annotated[
        str, typer.Option("--against", help="A git revision or a DVC experiment: print the differences too.")
    ] = "",
) -> None:
    """Print the report's main tables, and how they differ from another revision or experiment."""
    from hw2core.gate.results import print_results
    from hw2core.pipeline.outdated import outdated_outputs

    layout = find_workspace()
    print_results(layout, against)
    if any(path.startswith("stages/") for path in outdated_outputs(layout)):
        print(
            "Not every stage has run with the present params and data (`hw2 status`); `hw2 report` leaves those out."
        )


@app.command(rich_help_panel=PANEL)
def score(
    predictions: Annotated[str, typer.Argument(metavar="PRED.csv", help="Predictions: image_name,label.")],
    labels: Annotated[str, typer.Argument(metavar="LABELS.csv", help="True labels: image_name,label.")],
) -> None:
    """Compare predictions with labels; every labeled image counts."""
    from hw2core.stages.score import score

    score(predictions, labels)


judge = typer.Typer(help="Evaluate any folder or archive of images as the pipeline evaluates its own.")
app.add_typer(judge, name="judge", rich_help_panel=PANEL)
Judged = Annotated[str, typer.Argument(metavar="IMAGES", help="A folder or archive of images.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@judge.command("fid")
def judge_fid(
    fake: Annotated[str, typer.Argument(metavar="FAKE", help="A folder or archive of generated images.")],
    real: Annotated[str, typer.Argument(metavar="REAL", help="A folder or archive of real ones.")],
    digits: Annotated[
        str,
        typer.Option(
            "--digits",
            help="Compare 28x28 digits by the features of this domain's classifier instead of Inception.",
        ),
    ] = "",
    faces: Annotated[
        bool,
        typer.Option(
            "--faces", help="Compare by the features of the network train_face_features instead of Inception."
        ),
    ] = False,
    as_json: AsJson = False,
) -> None:
    """FID, KID, precision, recall and inception score of generated images against real ones."""
    run_stage("judge", "fid", fake, real, digits, faces, as_json)


@judge.command("faces")
def judge_faces(images: Judged, as_json: AsJson = False) -> None:
    """Face detection rate: the percentage of images in which dlib's detector finds exactly one face."""
    run_stage("judge", "faces", images, as_json)


@judge.command("digits")
def judge_digits(
    images: Judged,
    domain: Annotated[str, typer.Option("--domain", help="The domain whose classifier reads them.")] = "",
    as_json: AsJson = False,
) -> None:
    """Digit accuracy: the percentage of images, named as 7_001.png, that a classifier reads as their digit."""
    run_stage("judge", "digits", images, domain, as_json)


@app.command(rich_help_panel=PANEL)
def report(
    show: Annotated[bool, typer.Option("--open", help="Then open it in the browser.")] = False,
    latex: Annotated[
        bool, typer.Option("--latex", help="Also write its tables as LaTeX, to reports/tables.tex.")
    ] = False,
) -> None:
    """Build reports/ from what the stages measured; what has not run yet leaves a note."""
    import os

    from hw2core.pipeline.outdated import outdated_outputs

    # As a stage it runs after all that it reads: dvc.lock has them then, or will.
    outdated = frozenset() if "DVC_ROOT" in os.environ else outdated_outputs(find_workspace())
    run_stage("report", "write_report", outdated)
    if latex:
        run_stage("report", "write_latex")
    if show:
        import webbrowser

        webbrowser.open((find_workspace().reports / "report.html").as_uri())


@app.command(rich_help_panel=PANEL)
def compare(
    first: Annotated[str, typer.Argument(metavar="A", help="A git revision, or an experiment of DVC.")],
    second: Annotated[str, typer.Argument(metavar="B", help="Another one.")],
    show: Annotated[bool, typer.Option("--open", help="Then open the page in the browser.")] = False,
) -> None:
    """Write reports/compare.html: the results of two revisions side by side, and which differences exceed the seeds'."""
    from hw2core.stages.compare import compare

    path = compare(find_workspace(), first, second)
    print(path)
    if show:
        import webbrowser

        webbrowser.open(path.as_uri())


@app.command(rich_help_panel=PANEL)
def publish(
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            help="The folder in reports/published/; without it, only the tables that quote published runs are written.",
            show_default=False,
        ),
    ] = None,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Change nothing; say where README.md or docs/results.md differ from published metrics.",
        ),
    ] = False,
) -> None:
    """Publish the committed results in reports/published/NAME, without data, and quote them in README.md."""
    from hw2core import publish as publishing

    layout = find_workspace()
    if check and name is not None:
        raise UserError("--check checks all published runs: it takes no NAME")
    if check:
        sys.exit(publishing.check_documents(layout))
    if name is not None:
        print(publishing.publish(layout, name))
    for document in publishing.write_documents(layout):
        print(f"wrote the tables of {document}")


@app.command(rich_help_panel=PANEL)
def gate(
    base: Annotated[str, typer.Option("--base", help="A git revision, or a DVC experiment.")] = "main",
    markdown: Annotated[bool, typer.Option("--md", help="Print Markdown, for a comment.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare the metrics with those of a git revision by the rules of gate.yaml: 0 as good, 1 worse, 2 missing."""
    from hw2core.gate import gate

    if markdown and as_json:
        raise UserError("--md and --json: one of the two")
    sys.exit(gate(find_workspace(), base, "markdown" if markdown else "json" if as_json else "table"))
