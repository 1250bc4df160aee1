"""The stages of one run: each starts on a Dask worker once those that it reads from are recorded.

Stages on the longest remaining path come first. A stage whose worker is killed starts again.
"""

import contextlib
import json
import os
import queue
import signal
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from hw2core.engine.instructions import set_instructions
from hw2core.engine.interruption import Interruption
from hw2core.errors import UserError
from hw2core.files import write_whole
from hw2core.layout import Layout
from hw2core.pipeline.capacity import Capacity
from hw2core.pipeline.display import Display
from hw2core.pipeline.estimate import longest_paths
from hw2core.pipeline.repository import Repository, one_line
from hw2core.pipeline.targets import with_downstream
from hw2core.settings.models import Engine
from hw2core.threads import thread_variables

if TYPE_CHECKING:
    from distributed import Client

    from hw2core.pipeline.worker import Workspace

Outcome = Literal["ran", "restored", "unchanged"]

ATTEMPTS = 3
"""How often a stage is started that is killed, or whose worker is."""
TICK = 0.2  # seconds between two checks for a signal


class Run:
    """The stages of one run."""

    def __init__(
        self,
        layout: Layout,
        engine: Engine,
        repository: Repository,
        interruption: Interruption,
        keep_going: bool = False,
    ) -> None:
        self.layout, self.repository = layout, repository
        self.interruption, self.keep_going = interruption, keep_going
        self.failures: list[UserError | SystemExit] = []
        self.environment = {
            "PYTHONUNBUFFERED": "1",  # so that a log can be followed while its stage runs
            "DVC_ROOT": os.environ.get("DVC_ROOT", str(layout.root)),
            **thread_variables(engine.threads),
        }
        set_instructions(engine.cpu_isa, self.environment)
        self.costs = Costs(layout.runs / "costs.json")
        self.outcomes = Counter[Outcome]()
        self.attempts = Counter[str]()
        self.names: dict[str, str] = {}
        """The stage of each Dask key."""

    def workspace(self, gpus_of_slot: list[list[str]]) -> "Workspace":
        """For workers that see the workspace of this run."""
        from hw2core.pipeline.worker import Workspace

        gpus = {str(slot): ",".join(gpus) for slot, gpus in enumerate(gpus_of_slot) if gpus}
        return Workspace(self.layout.root, self.environment, gpus)

    def own_workspace(self) -> "Workspace":
        """For workers that need a copy of the workspace."""
        from hw2core.pipeline.own_workspace import OwnWorkspace, pack

        code = pack(self.layout.root, self.repository.sources)
        return OwnWorkspace(code, self.repository.remote_config(), self.environment)

    def execute(self, todo: list[str], client: "Client", memory: float = 0.0, separate: bool = False) -> None:
        """Run each stage of `todo` once those that it reads from are finished.

        `memory` limits what runs at a time, unless it is 0. Workers are `separate` if files pass between this workspace
        and theirs through the DVC remote.
        """
        self.client, self.separate = client, separate
        on_device = {name for name in todo if self.repository.reads(name, "engine.device")}
        self.capacity = Capacity(client, on_device, self.costs.memory, memory)
        slots = self.capacity.stages
        stages, upstream = len(self.repository.stages), self.repository.upstream
        print(f"{len(todo)} of {stages} stages to do, up to {slots} at a time.", flush=True)
        self.paths = longest_paths(todo, upstream, self.costs.seconds)
        self.unfinished, self.waiting = set(todo), list(todo)
        self.ended = queue.SimpleQueue[Any]()  # futures
        progress = self.layout.runs / "progress"
        progress.mkdir(parents=True, exist_ok=True)
        try:
            with Display(todo, upstream, self.costs.seconds, slots, progress) as self.display:
                while self.unfinished:
                    while (name := self.next_stage()) is not None:
                        self.interruption.check()
                        self.start(name)
                    if self.names:
                        self.finish(self.next_ended())
        finally:
            self.repository.release_all()
        if self.failures:
            raise self.failures[0]

    def next_stage(self) -> str | None:
        """Of the stages that can start now, the one on the longest path."""
        self.capacity.refresh()
        upstream, running = self.repository.upstream, list(self.names.values())
        ready = [name for name in self.waiting if not upstream[name] & self.unfinished]
        fitting = [name for name in ready if self.capacity.fits(name, running)]
        return max(fitting, key=self.paths.__getitem__, default=None)

    def start(self, name: str) -> None:
        self.waiting.remove(name)
        state = self.repository.begin(name)
        if state != "runs":
            self.display.ends(name, "restored from the cache" if state == "restored" else "is up to date")
            self.unfinished.remove(name)
            self.outcomes[state] += 1
        else:
            self.display.starts(name)
            self.submit(name)

    def submit(self, name: str) -> None:
        from hw2core.pipeline.worker import Task, run

        self.attempts[name] += 1
        sent = self.repository.send(sorted(self.repository.inputs(name))) if self.separate else {}
        persistent = self.repository.persistent(name)
        task = Task(
            name=name,
            command=self.repository.stages[name].cmd,
            log=self.path(self.log(name)),
            progress=self.path(self.display.progress_file(name)),
            outputs=tuple(path for path in self.repository.outputs(name) if path not in persistent),
            inputs=sent,
        )
        key = f"{name} {self.attempts[name]}"
        future = self.client.submit(
            run,
            task,
            key=key,
            pure=False,
            priority=self.paths[name],
            retries=ATTEMPTS - 1,  # if a worker cannot fetch or send files
            **self.capacity.requirements(name),
        )
        self.names[key] = name
        future.add_done_callback(self.ended.put)

    def path(self, path: Path) -> str:
        """A path below the workspace, as the workers read it."""
        return str(path.relative_to(self.layout.runs.parent) if self.separate else path)

    def next_ended(self) -> Any:
        """The future of the next stage that ends."""
        while True:
            self.interruption.check()
            with contextlib.suppress(queue.Empty):
                return self.ended.get(timeout=TICK)

    def finish(self, future: Any) -> None:
        """Record the result of a stage, or end the run."""
        name = self.names.pop(future.key)
        try:
            answer = future.result()
        except Exception as error:  # Dask gave it up: its workers were killed
            raise SystemExit(f"hw2: {name}: {one_line(error)}") from None
        finally:
            future.release()
        if self.separate:
            write_whole(self.log(name), answer["log"])
        if answer["status"] < 0 and self.attempts[name] < ATTEMPTS:
            self.display.say(name, f"was killed by signal {-answer['status']} and starts again")
            self.submit(name)
        elif answer["status"] != 0:
            self.display.say(name, f"failed after {answer['seconds']:.0f} s")
            self.fail(name, failure(name, self.log(name), answer["status"]))
        else:
            if self.separate:
                self.repository.accept(name, answer["outputs"], answer["entry"])
            else:
                self.repository.record(name)
            self.costs.note(name, answer)
            self.unfinished.remove(name)
            self.outcomes["ran"] += 1
            self.display.ends(name, f"done in {answer['seconds']:.0f} s", answer["seconds"])

    def fail(self, name: str, how: UserError | SystemExit) -> None:
        """End the run or, if it keeps going, leave out what depends on the stage."""
        if not self.keep_going:
            raise how
        self.failures.append(how)
        lost = with_downstream({name}, self.repository.upstream) & self.unfinished
        self.unfinished -= lost
        self.waiting = [other for other in self.waiting if other not in lost]
        if others := len(lost) - 1:
            self.display.say(name, f"keeps {others} stages that depend on it from running")

    def show_progress(self, event: tuple[float, dict[str, str]]) -> None:
        """A worker with its own workspace says how far a stage is."""
        _, message = event
        write_whole(self.display.progress_file(message["stage"]), message["progress"].encode())

    def log(self, name: str) -> Path:
        return self.layout.runs / "logs" / f"{name.replace('/', '_')}.log"


class Costs:
    """What each stage took in its last run, for the order of the next run. A hint: no result depends on it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.known: dict[str, dict[str, float]] = {}
        with contextlib.suppress(OSError, ValueError):
            self.known = json.loads(path.read_text(encoding="utf-8"))

    @property
    def seconds(self) -> dict[str, float]:
        return {name: cost["seconds"] for name, cost in self.known.items()}

    @property
    def memory(self) -> dict[str, float]:
        return {name: cost["memory"] for name, cost in self.known.items()}

    def note(self, name: str, answer: Mapping[str, float]) -> None:
        self.known[name] = {key: round(answer[key], 2) for key in ("seconds", "cpu_seconds", "memory")}
        write_whole(self.path, json.dumps(self.known, indent=0, sort_keys=True).encode())


def failure(name: str, log: Path, status: int) -> UserError | SystemExit:
    """Print the end of a failed stage's log. Return the exception that ends this process like the stage's command."""
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines() if log.exists() else []
    print(*[line for line in lines if line][-20:], sep="\n", file=sys.stderr)
    killer = -status if status < 0 else status - 128  # the conventions of Python and of shells
    how = f"was killed by signal {killer}" if 0 < killer <= 64 else f"ended with status {status}"
    how += " (is there too little memory? --jobs 1 takes less)" * (killer == signal.SIGKILL)
    message = f"{name} {how}; its whole output: {log}"
    if status == 2:
        return UserError(message)
    print(f"hw2: {message}", file=sys.stderr, flush=True)
    return SystemExit(1)
