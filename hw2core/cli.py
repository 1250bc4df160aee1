"""The commands: one a DVC stage, by the stage's name, and the user's own.

Nothing heavy is imported here, so that `hw2 --help` and every usage error answer at once. What a stage
does is in hw2core/stages/.
"""

import errno
import importlib
import os
import sys
from typing import Annotated, Any, NoReturn

import typer

from hw2core import __version__
from hw2core.errors import UserError
from hw2core.layout import find_workspace
from hw2core.params import ADAPTERS, LABELLED, load_params

app = typer.Typer(
    name="hw2",
    help="Image generation and domain adaptation, one reproducible pipeline.\n\n"
    "`make repro` or `hw2 repro` runs every stage; params.yaml holds every knob; "
    "reports/report.html is what one reads.",
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

INTERRUPTED = 130  # the exit status of a command that Ctrl-C ended

DomainName = Annotated[str, typer.Argument(metavar="DOMAIN", help="One of data.domains in params.yaml.")]
DatasetName = Annotated[
    str, typer.Argument(metavar="DATASET", help="A dataset that data.source in params.yaml has.")
]
PairName = Annotated[str, typer.Argument(metavar="PAIR", help="One of pairs in params.yaml.")]
MethodName = Annotated[str, typer.Argument(metavar="METHOD", help=f"One of: {', '.join(ADAPTERS)}.")]
GanName = Annotated[str, typer.Argument(metavar="METHOD", help="One of gan.methods in params.yaml.")]
AcganItem = Annotated[str, typer.Argument(metavar="ITEM", help="digits or faces.")]


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(f"hw2core {__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


def run_stage(module: str, function: str, *arguments: Any) -> None:
    """Run `function` of hw2core/stages/<module>.py on the validated params of this workspace."""
    layout = find_workspace()
    params = load_params(layout.params)
    # Numerical libraries read these when they are imported, and by default take every core.
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = str(params.engine.threads)
    getattr(importlib.import_module(f"hw2core.stages.{module}"), function)(params, layout, *arguments)


@app.command()
def download(dataset: DatasetName) -> None:
    """Stage: bring a dataset's raw material to data/raw/."""
    run_stage("data", "download", dataset)


@app.command()
def preprocess(dataset: DatasetName) -> None:
    """Stage: make of the raw material the images the networks read, in data/ready/."""
    run_stage("data", "preprocess", dataset)


@app.command("train_classifier")
def train_classifier(domain: DomainName) -> None:
    """Stage: train a domain's own classifier, the bound of every pair it belongs to."""
    run_stage("train", "train_classifier", domain)


def add_adapter(method: str) -> None:
    @app.command(f"train_{method}", help=f"Stage: adapt from a pair's source to its target with {method}.")
    def train(pair: PairName) -> None:
        run_stage("train", "train_adapter", method, pair)


for method in ADAPTERS:
    add_adapter(method)


@app.command("evaluate_classifier")
def evaluate_classifier(domain: DomainName) -> None:
    """Stage: judge a domain's classifier on every domain's test set."""
    run_stage("evaluate", "evaluate_classifier", domain)


@app.command()
def evaluate(method: MethodName, pair: PairName) -> None:
    """Stage: judge an adapted classifier on its target's test set."""
    run_stage("evaluate", "evaluate", method, pair)


@app.command("train_gan")
def train_gan(method: GanName) -> None:
    """Stage: train a GAN on the faces."""
    run_stage("train_generators", "train_gan", method)


@app.command("train_vae")
def train_vae() -> None:
    """Stage: train the variational autoencoder on the faces."""
    run_stage("train_generators", "train_vae")


@app.command("train_acgan")
def train_acgan(item: AcganItem) -> None:
    """Stage: train an ACGAN on the digits, or on the faces with an attribute and without."""
    run_stage("train_generators", "train_acgan", item)


@app.command("train_ddpm")
def train_ddpm() -> None:
    """Stage: train the conditional diffusion model on the digits."""
    run_stage("train_generators", "train_ddpm")


@app.command("train_face_features")
def train_face_features() -> None:
    """Stage: train the small network that faces are compared by offline."""
    run_stage("train_generators", "train_face_features")


@app.command("evaluate_gan")
def evaluate_gan(method: GanName) -> None:
    """Stage: draw a GAN's faces and judge them."""
    run_stage("evaluate_generators", "evaluate_gan", method)


@app.command("evaluate_vae")
def evaluate_vae() -> None:
    """Stage: draw the autoencoder's faces, rebuild real ones, and judge both."""
    run_stage("evaluate_generators", "evaluate_vae")


@app.command("evaluate_real")
def evaluate_real() -> None:
    """Stage: judge real faces and noise, the ends of the generators' scale."""
    run_stage("evaluate_generators", "evaluate_real")


@app.command("evaluate_acgan")
def evaluate_acgan(item: AcganItem) -> None:
    """Stage: draw an ACGAN's digits or faces and judge them."""
    run_stage("evaluate_conditional", "evaluate_acgan", item)


@app.command("evaluate_ddpm")
def evaluate_ddpm() -> None:
    """Stage: draw the diffusion model's digits and judge them."""
    run_stage("evaluate_conditional", "evaluate_ddpm")


@app.command("sweep_ddpm")
def sweep_ddpm() -> None:
    """Stage: draw digits in other ways: samplers, numbers of steps, strengths of guidance."""
    run_stage("sweep", "sweep_ddpm")


@app.command()
def tsne(method: MethodName, pair: PairName) -> None:
    """Stage: t-SNE of an adapted classifier's features, by digit and by domain."""
    run_stage("tsne", "tsne", method, pair)


@app.command()
def report() -> None:
    """Stage: build reports/ from every metrics.json, history and picture."""
    run_stage("report", "report")


@app.command()
def repro(
    jobs: Annotated[
        str, typer.Option("--jobs", "-j", help="Stages side by side; auto: as many as the machine can feed.")
    ] = "auto",
) -> None:
    """Run every stage that is not up to date, independent ones side by side."""
    layout = find_workspace()
    params = load_params(layout.params)
    from hw2core.repro import reproduce

    reproduce(layout, params.engine, jobs)


@app.command()
def profile(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="A file of profiles/, without .yaml; or default: the last commit's."
        ),
    ] = "",
    show: Annotated[bool, typer.Option("--list", help="List the profiles.")] = False,
    reset: Annotated[
        bool, typer.Option("--reset", help="Put params.yaml back as it was before the last profile.")
    ] = False,
    overrides: Annotated[
        bool,
        typer.Option(
            "--as-overrides", help="Change nothing; print it for dvc exp run $(hw2 profile NAME ...)."
        ),
    ] = False,
) -> None:
    """Put the settings of a profile into params.yaml, where they can be read and changed."""
    from hw2core import profiles

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


@app.command()
def predict(
    images: Annotated[str, typer.Argument(metavar="IMAGES", help="A folder or archive of digit images.")],
    out: Annotated[str, typer.Argument(metavar="OUT.csv", help="Where the predictions go.")],
    run: Annotated[
        str, typer.Option("--run", help="METHOD/PAIR, e.g. dann/mnistm-usps, or classifier/DOMAIN.")
    ],
    weights: Annotated[
        str,
        typer.Option("--weights", help="Of which seed and step, e.g. seed1.chosen; else the first's last."),
    ] = "",
    soft: Annotated[bool, typer.Option("--soft", help="Add the probability of each digit.")] = False,
) -> None:
    """Classify images: writes the course's csv, `image_name,label`, a row for every image, sorted by name."""
    run_stage("predict", "predict", run, images, out, weights, soft)


@app.command()
def generate(
    out: Annotated[str, typer.Option("--out", help="A new folder for the images.")],
    run: Annotated[
        str,
        typer.Option(
            "--run", help="gan/METHOD, e.g. gan/sngan; vae; or by labels: ddpm, acgan/digits, acgan/faces."
        ),
    ],
    count: Annotated[
        int | None, typer.Option("-n", min=1, max=1_000_000, help="How many images.", show_default="1000")
    ] = None,
    per_class: Annotated[
        int | None,
        typer.Option(min=1, max=100_000, help="By labels: how many of each.", show_default="100"),
    ] = None,
    only: Annotated[int | None, typer.Option("--class", help="By labels: of this one alone.")] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the noise: other images.")] = 0,
    grid: Annotated[bool, typer.Option("--grid", help="Draw the first of them as OUT-grid.png too.")] = False,
    interpolate: Annotated[
        bool,
        typer.Option(
            "--interpolate", help="Draw ways from one noise to another as OUT-interpolation.png too."
        ),
    ] = False,
    sampler: Annotated[str | None, typer.Option(help="ddpm: instead of ddpm.sampler in params.")] = None,
    steps: Annotated[int | None, typer.Option(help="ddpm: instead of ddpm.sampling_steps.")] = None,
    guidance: Annotated[float | None, typer.Option(help="ddpm: instead of ddpm.guidance.")] = None,
    eta: Annotated[float | None, typer.Option(help="ddpm: instead of ddpm.eta.")] = None,
) -> None:
    """Draw images by a trained generator: the same bytes on the same machine every time."""
    changes = {"sampler": sampler, "sampling_steps": steps, "guidance": guidance, "eta": eta}
    if run in LABELLED:
        if count is not None or interpolate:
            raise UserError(f"--run {run}: takes --per-class, not -n or --interpolate")
        run_stage(*("generate", "generate_labelled", run, out, per_class or 100, only, seed, grid, changes))
        return
    if per_class is not None or only is not None or any(value is not None for value in changes.values()):
        raise UserError(f"--run {run}: draws without labels, by -n alone")
    run_stage("generate", "generate", run, out, count or 1000, seed, grid, interpolate)


@app.command()
def score(
    predictions: Annotated[str, typer.Argument(metavar="PRED.csv", help="Predicted: image_name,label.")],
    labels: Annotated[str, typer.Argument(metavar="LABELS.csv", help="The truth: image_name,label.")],
) -> None:
    """Compare predictions with labels; every labelled image counts."""
    from hw2core.stages.score import score

    score(predictions, labels)


judge = typer.Typer(
    help="Judge anybody's folder, or archive, of images as the pipeline judges its own.", no_args_is_help=True
)
app.add_typer(judge, name="judge")
Judged = Annotated[str, typer.Argument(metavar="IMAGES", help="A folder or archive of images.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@judge.command("fid")
def judge_fid(
    fake: Annotated[str, typer.Argument(metavar="FAKE", help="A folder or archive of generated images.")],
    real: Annotated[str, typer.Argument(metavar="REAL", help="A folder or archive of real ones.")],
    digits: Annotated[
        str,
        typer.Option("--digits", help="Compare 28x28 digits by this domain's classifier, not by Inception."),
    ] = "",
    faces: Annotated[
        bool, typer.Option("--faces", help="Compare by the small network that learnt data.faces instead.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """FID, KID, precision, recall and inception score of generated images against real ones."""
    run_stage("judge", "fid", fake, real, digits, faces, as_json)


@judge.command("faces")
def judge_faces(images: Judged, as_json: AsJson = False) -> None:
    """The share of images in which dlib's detector finds exactly one face."""
    run_stage("judge", "faces", images, as_json)


@judge.command("digits")
def judge_digits(
    images: Judged,
    domain: Annotated[str, typer.Option("--domain", help="Whose classifier reads them.")] = "",
    as_json: AsJson = False,
) -> None:
    """The share of digits, named as 7_001.png, that a classifier reads as meant."""
    run_stage("judge", "digits", images, domain, as_json)


@app.command("data")
def show_data(
    dataset: DatasetName,
    out: Annotated[str, typer.Option("--out", help="Where the picture goes instead of data/sheets/.")] = "",
) -> None:
    """Show what is ready of a dataset: class counts, and a contact sheet as a picture."""
    run_stage("show", "show", dataset, out)


@app.command()
def gate(
    base: Annotated[str, typer.Option("--base", help="A git revision: a branch, a tag, a commit.")] = "main",
    markdown: Annotated[bool, typer.Option("--md", help="Print Markdown, for a comment.")] = False,
    as_json: AsJson = False,
) -> None:
    """Compare the committed metrics with a base's by the rules of gate.yaml: 0 as good, 1 worse, 2 missing."""
    from hw2core.gate import gate

    if markdown and as_json:
        raise UserError("--md and --json: one of the two")
    sys.exit(gate(find_workspace(), base, "markdown" if markdown else "json" if as_json else "table"))


@app.command()
def lost() -> None:
    """Tell which experiments of DVC's queue finished without leaving a result: 0 none, 1 some."""
    from hw2core.experiments import report_lost

    sys.exit(report_lost(find_workspace()))


@app.command()
def doctor() -> None:
    """Tell what this machine has, what is missing, and how to get it."""
    from hw2core.doctor import examine

    sys.exit(examine())


def main() -> None:
    """Entry point of `hw2` and `python -m hw2core`: an error is a line a problem, exit code 2."""
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
    """One line for the errors of torch that a user can mend. They are told by name: torch may not be loaded."""
    kind = type(error)
    if kind.__name__ == "OutOfMemoryError":
        return "the GPU's memory is full; a smaller batch, or fewer stages at once, needs less"
    if kind.__module__.startswith(("torch._dynamo", "torch._inductor")):
        said = " ".join(str(error).split())[:200]
        return f"engine.compile: torch.compile fails on this machine ({said}); set it to false"
    return None


def fail(message: str) -> NoReturn:
    for line in message.splitlines():
        print(f"hw2: {line}", file=sys.stderr)
    sys.exit(2)
