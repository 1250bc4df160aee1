"""The commands: the user's own, and one for each DVC stage from the table in stages/table.py.

Nothing heavy is imported here, so that `hw2 --help` and every usage error answer at once.
"""

import errno
import os
import sys
from typing import Annotated, NoReturn

import typer

from hw2core import __version__
from hw2core.errors import UserError
from hw2core.layout import find_workspace
from hw2core.stages.dispatch import add_stage, run_stage
from hw2core.stages.table import ARGUMENTS, STAGES

app = typer.Typer(
    name="hw2",
    help="Image generation and domain adaptation, one reproducible pipeline.\n\n"
    "`make repro` or `hw2 repro` runs every stage; params.yaml has every setting; "
    "reports/report.html is the result.",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

PIPELINE, MODELS, DATA, RESULTS, WORKSPACE, STAGE = (
    "Run the pipeline",
    "Use a trained model",
    "Data",
    "Results",
    "Workspace",
    "Stages, as dvc.yaml calls them",
)
INTERRUPTED = 130  # the exit status of a command that Ctrl-C ended

DatasetName = Annotated[str, typer.Argument(metavar="DATASET", help=ARGUMENTS["dataset"])]


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(f"hw2core {__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


@app.command(rich_help_panel=PIPELINE)
def repro(
    jobs: Annotated[
        str,
        typer.Option(
            "--jobs", "-j", help="Stages that run in parallel; auto: as many as the machine has cores for."
        ),
    ] = "auto",
    cluster: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="A Dask scheduler, e.g. tcp://host:8786 (docs/scale.md)."),
    ] = None,
) -> None:
    """Run every stage that is not up to date, independent ones in parallel."""
    from hw2core.pipeline.scheduler import reproduce
    from hw2core.settings import load_params

    layout = find_workspace()
    reproduce(layout, load_params(layout.params).engine, jobs, cluster)


@app.command(rich_help_panel=PIPELINE)
def status(
    jobs: Annotated[str, typer.Option("--jobs", "-j", help="Stages in parallel, for the estimate.")] = "auto",
) -> None:
    """Say what `hw2 repro` would run, why, and for how long. Exit code 1: an experiment has lost its result."""
    from hw2core.pipeline.slots import count_slots
    from hw2core.pipeline.status import report_status
    from hw2core.settings import load_params

    layout = find_workspace()
    engine = load_params(layout.params).engine
    sys.exit(report_status(layout, count_slots(jobs, engine.threads, [])))


@app.command(rich_help_panel=WORKSPACE)
def profile(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME",
            help="A file of profiles/, without .yaml; default: the params.yaml of the last commit.",
        ),
    ] = "",
    show: Annotated[bool, typer.Option("--list", help="List the profiles.")] = False,
    reset: Annotated[
        bool, typer.Option("--reset", help="Restore params.yaml as it was before the last profile.")
    ] = False,
    overrides: Annotated[
        bool,
        typer.Option(
            "--as-overrides",
            help="Change nothing; print the profile for dvc exp run $(hw2 profile NAME ...).",
        ),
    ] = False,
) -> None:
    """Write the settings of a profile into params.yaml, where they can be read and changed."""
    from hw2core.settings import profiles

    if [bool(name), show, reset].count(True) != 1:
        raise UserError("profile: give a NAME, or --list, or --reset (see `hw2 profile --help`)")
    if overrides and not name:
        raise UserError("--as-overrides: give the NAME of a profile too")
    layout = find_workspace()
    if overrides:
        print(profiles.as_overrides(layout, name))
        return
    lines = (
        profiles.list_profiles(layout)
        if show
        else profiles.undo_profile(layout)
        if reset
        else profiles.apply_profile(layout, name)
    )
    for line in lines:
        print(line)


@app.command(rich_help_panel=MODELS)
def predict(
    images: Annotated[str, typer.Argument(metavar="IMAGES", help="A folder or archive of digit images.")],
    out: Annotated[str, typer.Argument(metavar="OUT.csv", help="The csv to write.")],
    run: Annotated[
        str, typer.Option("--run", help="METHOD/PAIR, e.g. dann/mnistm-usps, or classifier/DOMAIN.")
    ],
    weights: Annotated[
        str,
        typer.Option(
            "--weights", help="Seed and step, e.g. seed1.chosen; default: the first seed, last step."
        ),
    ] = "",
    soft: Annotated[bool, typer.Option("--soft", help="Add the probability of each digit.")] = False,
) -> None:
    """Classify images: write the course's csv, `image_name,label`, a row for every image, sorted by name."""
    run_stage("predict", "predict", run, images, out, weights, soft)


@app.command(rich_help_panel=MODELS)
def generate(
    out: Annotated[str, typer.Option("--out", help="A new folder for the images.")],
    run: Annotated[
        str,
        typer.Option(
            "--run", help="gan/NAME, e.g. gan/sngan; vae; conditional: ddpm, acgan/digits, acgan/faces."
        ),
    ],
    count: Annotated[
        int | None, typer.Option("-n", min=1, max=1_000_000, help="How many images.", show_default="1000")
    ] = None,
    per_class: Annotated[
        int | None,
        typer.Option(min=1, max=100_000, help="Conditional: images of each label.", show_default="100"),
    ] = None,
    only: Annotated[int | None, typer.Option("--class", help="Conditional: only this label.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the noise.")] = 0,
    grid: Annotated[
        bool, typer.Option("--grid", help="Also write the first images as OUT-grid.png.")
    ] = False,
    interpolate: Annotated[
        bool,
        typer.Option(
            "--interpolate", help="Also write interpolations between noises as OUT-interpolation.png."
        ),
    ] = False,
    sampler: Annotated[
        str | None, typer.Option("--sampler", help="ddpm: instead of ddpm.sampler in params.")
    ] = None,
    steps: Annotated[
        int | None, typer.Option("--steps", help="ddpm: instead of ddpm.sampling_steps.")
    ] = None,
    guidance_scale: Annotated[
        float | None, typer.Option("--guidance-scale", help="ddpm: instead of ddpm.guidance_scale.")
    ] = None,
    eta: Annotated[float | None, typer.Option("--eta", help="ddpm: instead of ddpm.eta.")] = None,
) -> None:
    """Generate images with a trained generator. The same seed gives the same bytes on the same machine."""
    from hw2core.settings.registry import CONDITIONAL

    changes = {"sampler": sampler, "sampling_steps": steps, "guidance_scale": guidance_scale, "eta": eta}
    if run in CONDITIONAL:
        if count is not None or interpolate:
            raise UserError(f"--run {run}: takes --per-class, not -n or --interpolate")
        run_stage(*("generate", "generate_labeled", run, out, per_class or 100, only, seed, grid, changes))
        return
    if per_class is not None or only is not None or any(value is not None for value in changes.values()):
        raise UserError(f"--run {run}: is not conditional and takes -n")
    run_stage("generate", "generate", run, out, count or 1000, seed, grid, interpolate)


@app.command(rich_help_panel=RESULTS)
def score(
    predictions: Annotated[str, typer.Argument(metavar="PRED.csv", help="Predictions: image_name,label.")],
    labels: Annotated[str, typer.Argument(metavar="LABELS.csv", help="True labels: image_name,label.")],
) -> None:
    """Compare predictions with labels; every labeled image counts."""
    from hw2core.stages.score import score

    score(predictions, labels)


judge = typer.Typer(help="Evaluate any folder or archive of images as the pipeline evaluates its own.")
app.add_typer(judge, name="judge", rich_help_panel=RESULTS)
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


@app.command("data", rich_help_panel=DATA)
def show_data(
    dataset: DatasetName,
    out: Annotated[
        str, typer.Option("--out", help="The picture to write, instead of one in data/sheets/.")
    ] = "",
) -> None:
    """Show a ready dataset: class counts, and a contact sheet as a picture."""
    run_stage("show", "show", dataset, out)


@app.command(rich_help_panel=RESULTS)
def gate(
    base: Annotated[str, typer.Option("--base", help="A git revision: a branch, a tag, a commit.")] = "main",
    markdown: Annotated[bool, typer.Option("--md", help="Print Markdown, for a comment.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare the metrics with those of a git revision by the rules of gate.yaml: 0 as good, 1 worse, 2 missing."""
    from hw2core.gate import gate

    if markdown and as_json:
        raise UserError("--md and --json: one of the two")
    sys.exit(gate(find_workspace(), base, "markdown" if markdown else "json" if as_json else "table"))


@app.command(rich_help_panel=WORKSPACE)
def doctor(
    fingerprint: Annotated[
        bool,
        typer.Option(
            "--fingerprint",
            help="Compute small cases instead, and say whether this machine reproduces the committed results: "
            "exit code 0 if it does, 1 if not.",
        ),
    ] = False,
) -> None:
    """Show what this machine has, what is missing, and how to get it."""
    from hw2core.doctor import examine
    from hw2core.fingerprint.compare import compare

    sys.exit(compare("avx2") if fingerprint else examine())


for stage in STAGES:
    add_stage(app, stage, STAGE)


def main() -> None:
    """Entry point of `hw2` and `python -m hw2core`: one line for each problem, exit code 2."""
    # click's own base class, wherever typer keeps click
    click_error: type[Exception] = typer.BadParameter.__mro__[2]
    try:
        status = app(prog_name="hw2", standalone_mode=False)
    except UserError as error:
        fail(str(error))
    except click_error as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "hw2"
        fail(f"{error.format_message()} (see `{path} --help`)")  # type: ignore[attr-defined]
    except BrokenPipeError:  # `hw2 repro | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            fail("the disk is full; free some space and run it again")
        fail(f"{error.filename or 'a file'}: {error.strerror or error}")
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except Exception as error:
        message = explain(error)
        if message is None:
            raise
        fail(message)
    if status == INTERRUPTED:
        print("hw2: interrupted", file=sys.stderr)
    sys.exit(status if isinstance(status, int) else 0)


def explain(error: Exception) -> str | None:
    """One line for errors of torch that a user can fix. Matched by name, since torch may not be loaded."""
    kind = type(error)
    if kind.__name__ == "OutOfMemoryError":
        return "the GPU is out of memory; a smaller batch, or fewer stages in parallel, needs less"
    if kind.__module__.startswith(("torch._dynamo", "torch._inductor")):
        said = " ".join(str(error).split())[:200]
        return f"engine.compile: torch.compile fails on this machine ({said}); set it to false"
    return None


def fail(message: str) -> NoReturn:
    for line in message.splitlines():
        print(f"hw2: {line}", file=sys.stderr)
    sys.exit(2)
