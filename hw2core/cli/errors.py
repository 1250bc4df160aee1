"""How a command ends: one line for each problem, and the exit status."""

import errno
import os
import sys
from typing import NoReturn

import typer

from hw2core.errors import UserError

INTERRUPTED = 130  # the exit status of a command that Ctrl-C ended


def run(app: typer.Typer) -> NoReturn:
    """Run a command: one line for each problem, exit code 2."""
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
