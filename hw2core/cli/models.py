"""Commands that use trained models."""

from typing import Annotated

import typer

from hw2core.errors import UserError
from hw2core.stages.dispatch import run_stage

app = typer.Typer()
PANEL = "Use a trained model"


@app.command(rich_help_panel=PANEL)
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


@app.command(rich_help_panel=PANEL)
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
