"""From a command to the function of hw2core/stages that runs it. Imports nothing heavy before the command runs."""

import importlib
import inspect
import os
from typing import Annotated, Any

import typer

from hw2core.engine.instructions import set_instructions
from hw2core.errors import UserError
from hw2core.layout import find_workspace
from hw2core.stages.table import ARGUMENTS, StageCommand
from hw2core.threads import thread_variables

SEED = "seed"  # the one argument that is a number


def run_stage(module: str, function: str, *arguments: Any) -> None:
    """Run `function` of hw2core/stages/<module>.py on the validated params of this workspace."""
    from hw2core.settings import load_params

    layout = find_workspace()
    params = load_params(layout.params)
    # Numerical libraries read these when they are imported, and by default take every core and every instruction.
    os.environ.update(thread_variables(params.engine.threads))
    set_instructions(params.engine.cpu_isa)
    getattr(importlib.import_module(f"hw2core.stages.{module}"), function)(params, layout, *arguments)


def parameter(name: str) -> inspect.Parameter:
    """A positional argument of a stage's command."""
    argument = typer.Argument(metavar=name.upper(), help=ARGUMENTS[name])
    kind = int if name == SEED else str
    return inspect.Parameter(
        name, inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=Annotated[kind, argument]
    )


def add_stage(app: typer.Typer, stage: StageCommand, panel: str) -> None:
    """Make a command of a stage: its arguments are positional, `seed` is a number. It has a name with hyphens too."""

    def command(**values: Any) -> None:
        if values.get("item", "digits") not in ("digits", "faces"):
            raise UserError(f"unknown item {values['item']}; there are: digits, faces")
        module = stage.module.format(**values)
        # The module of this stage says what the item is.
        arguments = {name: value for name, value in values.items() if f"{{{name}}}" not in stage.module}
        run_stage(module, stage.target, *arguments.values())

    parameters = [parameter(name) for name in stage.arguments]
    command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in parameters}
    shown = stage.name.replace("_", "-")
    app.command(shown, help=stage.help, rich_help_panel=panel)(command)
    if shown != stage.name:  # as dvc.yaml calls it
        app.command(stage.name, help=stage.help, hidden=True)(command)
