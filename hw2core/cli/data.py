"""Commands that show data."""

from typing import Annotated

import typer

from hw2core.errors import UserError
from hw2core.stages.dispatch import run_stage
from hw2core.stages.table import ARGUMENTS

DatasetName = Annotated[str, typer.Argument(metavar="DATASET", help=ARGUMENTS["dataset"])]


app = typer.Typer()
PANEL = "Data"


@app.command("data", rich_help_panel=PANEL)
def show_data(
    dataset: DatasetName = "",
    out: Annotated[
        str, typer.Option("--out", help="The picture to write, instead of one in data/sheets/.")
    ] = "",
) -> None:
    """List all datasets; or show a ready one: class counts, and a contact sheet as a picture."""
    if not dataset and out:
        raise UserError("--out: name a DATASET too")
    run_stage("show", *(("show", dataset, out) if dataset else ("list_all",)))
