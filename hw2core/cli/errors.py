"""How a command ends: one line for each problem, and the exit status."""

import contextlib
import errno
import os
import sys
import tempfile
import traceback
from pathlib import Path
from typing import NoReturn

import typer

from hw2core import __version__
from hw2core.errors import Interrupted, UserError
from hw2core.files import write_whole
from hw2core.layout import find_workspace

INTERRUPTED = 130  # the exit status of a command that Ctrl-C ended
DEFECT = 70  # EX_SOFTWARE of sysexits.h
BROKEN_PIPE = 141  # what a shell says of a command that SIGPIPE ended
LONGEST = 1000  # characters of a line


def run(app: typer.Typer) -> NoReturn:
    """Run a command: one line for each problem, exit code 2."""
    open_streams()
    # click's own base class, wherever typer keeps click
    click_error: type[Exception] = typer.BadParameter.__mro__[2]
    try:
        if "" in sys.argv[1:]:
            raise UserError("an argument is empty; is a variable of the shell not set?")
        status = app(prog_name="hw2", standalone_mode=False)
        sys.stdout.flush()
    except UserError as error:
        fail(str(error))
    except click_error as error:
        context = getattr(error, "ctx", None)
        path = context.command_path if context else "hw2"
        fail(f"{error.format_message()} (see `{path} --help`)")  # type: ignore[attr-defined]
    except BrokenPipeError:  # `hw2 repro | head` has read enough
        discard_output()
        sys.exit(BROKEN_PIPE)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            fail("the disk is full; free some space and run it again")
        fail(f"{error.filename or 'a file'}: {error.strerror or error}")
    except (KeyboardInterrupt, typer.Abort):
        status = INTERRUPTED
    except Interrupted as interruption:
        fail("interrupted", 128 + interruption.number)
    except Exception as error:
        if message := explain(error):
            fail(message)
        fail(save_traceback(error), DEFECT)
    if status == INTERRUPTED:
        fail("interrupted", INTERRUPTED)
    sys.exit(status if isinstance(status, int) else 0)


def open_streams() -> None:
    """Open what is closed of stdin, stdout and stderr, or a file that is opened later would become one of them.
    Characters that a stream cannot encode are escaped."""
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        stream = getattr(sys, name)
        if stream is None:
            mode = "r" if name == "stdin" else "w"
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115
            if getattr(sys, name).fileno() != descriptor:
                os.dup2(getattr(sys, name).fileno(), descriptor)
        elif name != "stdin" and hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


def explain(error: Exception) -> str | None:
    """One line for errors that a user can fix. Those of torch are matched by name, since it may not be loaded."""
    kind = type(error)
    if isinstance(error, MemoryError):
        return "memory ran out; smaller images, fewer of them, or fewer stages in parallel need less"
    if kind.__name__ == "OutOfMemoryError":
        return "the GPU is out of memory; a smaller batch, or fewer stages in parallel, needs less"
    if kind.__module__.startswith(("torch._dynamo", "torch._inductor")):
        said = " ".join(str(error).split())[:200]
        return f"engine.compile: torch.compile fails on this machine ({said}); set it to false"
    return None


def save_traceback(error: Exception) -> str:
    """Keep the traceback of an unforeseen error, and say where, and how to report it."""
    what = " ".join(f"{type(error).__name__}: {error}".split())[:300]
    text = f"hw2core {__version__}, Python {sys.version}\n{sys.argv}\n\n{''.join(traceback.format_exception(error))}"
    for folder in error_folders():
        path = folder / f"hw2-{os.getpid()}.txt"
        try:
            write_whole(path, text.encode(errors="backslashreplace"))
        except OSError:
            continue
        return (
            f"a defect of hw2core, not of your input ({what}); {os.path.relpath(path)} has the traceback: "
            "report it with that file, as CONTRIBUTING.md says"
        )
    return f"a defect of hw2core ({what}), of which no traceback could be kept; report it, as CONTRIBUTING.md says"


def error_folders() -> list[Path]:
    """Where a traceback may be kept: in the workspace, else in the folder of temporary files."""
    folders = []
    with contextlib.suppress(UserError, OSError):
        folders.append(find_workspace().runs / "errors")
    with contextlib.suppress(OSError):  # there may be none
        folders.append(Path(tempfile.gettempdir()))
    return folders


def fail(message: str, status: int = 2) -> NoReturn:
    try:
        sys.stdout.flush()
    except OSError:  # it is on the full disk, for example
        discard_output()
    with contextlib.suppress(OSError):
        for line in message.split("\n"):
            print(f"hw2: {shorten(line)}", file=sys.stderr)
    sys.exit(status)


def discard_output() -> None:
    """Let Python not try again, when it ends, to write what cannot be written."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def shorten(line: str) -> str:
    """A line without control characters, and without the middle of one that is too long to be read."""
    line = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in line)
    return line if len(line) <= LONGEST else f"{line[: LONGEST // 2]} ... {line[-LONGEST // 2 :]}"
