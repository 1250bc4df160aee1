"""Commands on the workspace and the machine."""

import sys
from typing import Annotated

import typer

from hw2core.errors import UserError
from hw2core.layout import find_workspace

app = typer.Typer()
PANEL = "Workspace"


@app.command(rich_help_panel=PANEL)
def profile(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="NAME...",
            help="Files of profiles/, without .yaml, e.g. `course R22b quick`: data are applied first, sizes last. "
            "default: the params.yaml of the last commit.",
            show_default=False,
        ),
    ] = None,
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
    """Write the settings of profiles into params.yaml, where they can be read and changed."""
    from hw2core.settings import profiles

    if [bool(names), show, reset].count(True) != 1:
        raise UserError("profile: give a NAME, or --list, or --reset (see `hw2 profile --help`)")
    if overrides and not names:
        raise UserError("--as-overrides: give the NAME of a profile too")
    layout = find_workspace()
    if overrides:
        print(profiles.as_overrides(layout, *(names or ())))
        return
    lines = (
        profiles.list_profiles(layout)
        if show
        else profiles.undo_profile(layout)
        if reset
        else profiles.apply_profiles(layout, *(names or ()))
    )
    for line in lines:
        print(line)


@app.command(rich_help_panel=PANEL)
def prune(
    remove: Annotated[bool, typer.Option("--yes", help="Remove it; without this, only say what.")] = False,
) -> None:
    """Remove the models and results of seeds, pairs, systems and domains that params no longer name."""
    from hw2core.pipeline.prune import prune as remove_left_over

    remove_left_over(find_workspace(), remove)


@app.command(rich_help_panel=PANEL)
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
