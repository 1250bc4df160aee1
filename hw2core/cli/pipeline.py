"""Commands that run the pipeline."""

import sys
from typing import Annotated

import typer

from hw2core.layout import find_workspace

app = typer.Typer()
PANEL = "Run the pipeline"


@app.command(rich_help_panel=PANEL)
def repro(
    targets: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="TARGET...",
            help="Only these and what they need: a stage, a system, a pair, a dataset or a seed, e.g. `dann`, "
            "`mnistm-usps`, `seed1`; `dann/mnistm-usps/seed1` is what all of them name.",
            show_default=False,
        ),
    ] = None,
    jobs: Annotated[
        str,
        typer.Option(
            "--jobs", "-j", help="Stages that run in parallel; auto: as many as the machine has cores for."
        ),
    ] = "auto",
    cluster: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS|FILE",
            help="A Dask scheduler, e.g. tcp://host:8786, or a YAML file that says what to start (docs/scale.md).",
        ),
    ] = None,
    dashboard: Annotated[bool, typer.Option("--dashboard", help="Say where Dask's dashboard is.")] = False,
    keep_going: Annotated[
        bool, typer.Option("--keep-going", "-k", help="After a failure, finish what does not depend on it.")
    ] = False,
) -> None:
    """Run every stage that is not up to date, independent ones in parallel."""
    layout = find_workspace()
    print(f"Looking for what changed in {layout.root}.", flush=True)  # importing DVC takes seconds
    from hw2core.pipeline.check import check_stale
    from hw2core.pipeline.scheduler import reproduce
    from hw2core.settings import load_params

    params = load_params(layout.params)
    reproduce(
        layout,
        params.engine,
        jobs,
        cluster,
        dashboard,
        targets=targets or (),
        keep_going=keep_going,
        check=lambda repository, todo: (
            check_stale(params, layout, repository, todo, local=cluster is None, part=bool(targets)).skipped
        ),
    )


@app.command(rich_help_panel=PANEL)
def check() -> None:
    """Check params.yaml against the data and this machine, before hours of training. `hw2 repro` does it first."""
    from hw2core.pipeline.check import check_stale, lines
    from hw2core.pipeline.repository import Repository
    from hw2core.settings import load_params

    layout = find_workspace()
    params = load_params(layout.params)
    repository = Repository(layout.root)
    for line in lines(check_stale(params, layout, repository, repository.stale())):
        print(line)


@app.command(rich_help_panel=PANEL)
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
