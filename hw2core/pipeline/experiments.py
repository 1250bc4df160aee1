"""Experiments of DVC's queue that finished without a result.

With several workers DVC was observed to report an experiment as successful without keeping a reference to it, in one of
sixty cases. DVC prints no message: the experiment is missing from the list of experiments.
"""

import re
import subprocess
import sys

from hw2core.errors import UserError
from hw2core.layout import Layout


def report_lost(layout: Layout) -> int:
    """Print each lost experiment; return 1 if there is one, else 0."""
    finished = successes(dvc(layout, "queue", "status"))
    kept = set(dvc(layout, "exp", "list", "--all-commits", "--name-only").split())
    lost = {name: task for name, task in finished.items() if name not in kept}
    for name, task in lost.items():
        print(f"{name} (task {task}): finished, but DVC has no result of it; queue it again with the same -S")
    if lost:
        print(
            "The outputs of its stages are in the cache. `dvc queue remove --success` forgets finished tasks."
        )
    else:
        print(f"All {len(finished)} finished experiments of the queue have their result.")
    return int(bool(lost))


def successes(status: str) -> dict[str, str]:
    """Return the name and the task of each experiment that `dvc queue status` lists as a success."""
    rows = re.findall(r"(?m)^(\w+) +(\S+) .* Success *$", status)
    return {name: task for task, name in rows}


def dvc(layout: Layout, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "dvc", *arguments], cwd=layout.root, capture_output=True, text=True
    )
    if done.returncode != 0:
        raise UserError(f"dvc {' '.join(arguments[:2])}: {one_line(done.stderr)}")
    return done.stdout


def one_line(message: str) -> str:
    """A message of DVC without its excerpts of files."""
    lines = [line.strip() for line in message.splitlines() if not re.match(r"\s*\d+ ", line)]
    return " ".join(line for line in lines if line).removeprefix("ERROR: ")
