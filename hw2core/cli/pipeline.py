"""Commands that run the pipeline."""

import sys
from typing import Annotated

import typer

from hw2core.layout import find_workspace

app = typer.Typer()
PANEL = "Run the pipeline"


@app.command(rich_help_panel=PANEL)
def repro(
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
) -> None:
    """Run every stage that is not up to date, independent ones in parallel."""
    from hw2core.pipeline.scheduler import reproduce
    from hw2core.settings import load_params

    layout = find_workspace()
    reproduce(layout, load_params(layout.params).engine, jobs, cluster, dashboard)


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
