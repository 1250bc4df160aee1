"""The commands: the user's own, by panel, and one for each DVC stage from the table in stages/table.py.

Nothing heavy is imported here, so that `hw2 --help` and every usage error answer at once.
"""

from typing import Annotated, NoReturn

import typer

from hw2core import __version__
from hw2core.cli import data, errors, models, pipeline, results, workspace
from hw2core.stages.dispatch import add_stage
from hw2core.stages.table import STAGES

app = typer.Typer(
    name="hw2",
    help="Image generation and domain adaptation, one reproducible pipeline.\n\n"
    "`make repro` or `hw2 repro` runs every stage; params.yaml has every setting; "
    "reports/report.html is the result.",
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

STAGE_PANEL = "Single stages, which `hw2 repro` runs for you"


@app.callback(invoke_without_command=True)
def root(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        print(f"hw2core {__version__}")
    elif context.invoked_subcommand is None:
        print(context.get_help())


stage_commands = typer.Typer()
for stage in STAGES:
    if stage.name != "report":  # has options, and is in results.py
        add_stage(stage_commands, stage, STAGE_PANEL)
for commands in (pipeline.app, models.app, data.app, results.app, workspace.app, stage_commands):
    app.add_typer(commands)


def main() -> NoReturn:
    """Entry point of `hw2` and `python -m hw2core`."""
    errors.run(app)
