"""The pipeline as DVC sees it: stages, what is stale, the run cache, dvc.lock.

One process holds DVC's objects for a whole run. Starting a `dvc` command for each stage would read dvc.yaml and write
dvc.lock as often as there are stages, which costs more than many stages do. What DVC does around a stage's command
(`Stage.run`) is divided here: `begin` before the command, `record` after it. Commands run elsewhere, side by side.
"""

import contextlib
import logging
import threading
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Literal

from dvc.dependency import ParamsDependency
from dvc.exceptions import DvcException
from dvc.repo import Repo
from dvc.rwlock import rwlock
from dvc.stage import PipelineStage
from dvc.stage.cache import RunCacheNotFoundError
from dvc.stage.loader import StageLoader
from dvc.stage.serialize import to_lockfile
from dvc.utils.serialize import dumps_yaml, parse_yaml

from hw2core.errors import UserError
from hw2core.files import write_whole
from hw2core.pipeline.dvc_files import entry_name, join_lock, split_lock
from hw2core.pipeline.targets import with_downstream
from hw2core.pipeline.transfer import Hashes, Transfer
from hw2core.settings.profiles import describe

State = Literal["unchanged", "restored", "runs"]
CHANGES = {"modified": "has changed", "deleted": "is missing", "new": "is new"}
ONE_AT_A_TIME = threading.RLock()
"""DVC works in the current folder, of which a process has one."""

for name in ("dvc", "dvc_objects", "dvc_data"):
    # Without messages of its own about every stage. Above ERROR it draws no progress bars either.
    logging.getLogger(name).setLevel(logging.CRITICAL)


class Repository:
    def __init__(self, root: Path, config: Mapping[str, Any] | None = None) -> None:
        """The pipeline in the folder `root`, with settings of DVC that its own files do not have."""
        self.root = root
        # The lock is DVC's own: it excludes DVC commands of the user while files are hashed and recorded.
        self.repo = self.guard("dvc", lambda: Repo(str(root), config=config, _wait_for_lock=True))
        graph = self.guard("dvc", lambda: self.repo.index.graph)
        self.stages: dict[str, Any] = {
            stage.name: stage for stage in self.repo.index.stages if isinstance(stage, PipelineStage)
        }
        self.upstream: dict[str, set[str]] = {
            name: {source.name for source in graph.successors(stage)} for name, stage in self.stages.items()
        }
        self.lock_file = root / "dvc.lock"
        text = self.lock_file.read_text(encoding="utf-8") if self.lock_file.exists() else ""
        self.entries = {entry_name(entry): entry for entry in split_lock(text)}
        if text and not self.entries:
            raise UserError(f"{self.lock_file}: not as DVC writes it; restore it by git, or remove it")
        self.in_use: dict[str, ExitStack] = {}

    def changed(self, allow_missing: bool = False) -> set[str]:
        """The stages that must run because of their own inputs, outputs or command. With `allow_missing`, files that are
        only not here, such as models in a clone, change nothing."""
        with self.repo.lock:
            return {
                name
                for name, stage in self.stages.items()
                if self.guard(name, partial(stage.changed, allow_missing=allow_missing))
            }

    def stale(self, skipped: Collection[str] = ()) -> list[str]:
        """The stages that changed, and all that are downstream of them, in the order of dvc.yaml."""
        reached = with_downstream(self.changed().difference(skipped), self.upstream)
        return [name for name in self.stages if name in reached and name not in skipped]

    def reasons(self, name: str) -> list[str]:
        """Why a stage itself is stale; nothing if it is only downstream of stale ones."""
        stage = self.stages[name]
        if name not in self.entries:
            return ["never ran"]
        with self.repo.lock:
            found: list[str] = self.guard(name, lambda: list(reasons_of(stage)))
        return found

    def begin(self, name: str) -> State:
        """What has to be done for a stage whose upstream stages are finished.

        Its outputs are removed, but those that persist. If it is in the run cache, they are restored.
        """
        stage = self.stages[name]
        with self.repo.lock:
            if not self.guard(name, stage.changed):
                return "unchanged"
            # Not save_deps before: DVC would take the outputs in dvc.lock for those of the new inputs.
            self.guard(name, stage.remove_outs)
            try:
                self.guard(name, lambda: self.repo.stage_cache.restore(stage, pull=bool(self.remote())))
            except Exception:  # RunCacheNotFoundError, or what a library raises whose remote does not answer
                self.hold(name)
                return "runs"
        self.record(name)
        return "restored"

    def outputs(self, name: str) -> list[str]:
        """Paths relative to the root folder."""
        return [out.def_path for out in self.stages[name].outs]

    def persistent(self, name: str) -> list[str]:
        """The outputs that are not removed before the stage runs, since a person may have put files there."""
        return [out.def_path for out in self.stages[name].outs if out.persist]

    def inputs(self, name: str) -> set[str]:
        """What a stage reads that stages have written.

        A stage that depends on values in the output of another stage, such as checksums, may read what that stage read.
        """
        found: set[str] = set()
        for dep in self.stages[name].deps:
            related = [
                path for path in self.sources if within(dep.def_path, path) or within(path, dep.def_path)
            ]
            if related:
                found.add(dep.def_path)
            if isinstance(dep, ParamsDependency):
                found = found.union(*(self.inputs(self.sources[path]) for path in related))
        return found

    def reads(self, name: str, key: str) -> bool:
        """Whether a stage depends on this key of params.yaml by name."""
        deps = self.stages[name].deps
        return any(isinstance(dep, ParamsDependency) and key in dep.params for dep in deps)

    @cached_property
    def sources(self) -> dict[str, str]:
        """The stage of each output."""
        return {out.def_path: name for name, stage in self.stages.items() for out in stage.outs}

    def record(self, name: str) -> None:
        """Hash what a stage has read and written, put it into the cache, and write the stage's entry in dvc.lock."""
        stage = self.stages[name]
        self.release(name)

        def save() -> None:
            # DVC itself keeps stages with files in git, such as metrics.json, out of its run cache. With them there, params
            # that were run before are restored: a seed that comes back, the default after another profile.
            stage.save(run_cache=True)
            stage.commit()

        with self.repo.lock:
            self.guard(name, save)
            self.entries[name] = dumps_yaml({"stages": to_lockfile(stage)}).removeprefix("stages:\n")
            self.write_lock()

    def accept(self, name: str, outputs: Hashes, entry: str) -> None:
        """Fetch the outputs of a stage that ran in another folder, and take over its entry in dvc.lock."""
        stage = self.stages[name]
        self.release(name)

        def save() -> None:
            StageLoader.fill_from_lock(stage, parse_yaml(entry, "dvc.lock")[name])
            self.repo.stage_cache.save(stage)

        self.receive(outputs)
        with self.repo.lock:
            self.guard(name, save)
            self.entries[name] = entry
            self.write_lock()

    def send(self, paths: list[str]) -> Hashes:
        hashes: Hashes = self.through_remote(lambda: self.transfer.send(paths))
        return hashes

    def receive(self, hashes: Hashes) -> None:
        with self.repo.lock:
            self.through_remote(lambda: self.transfer.receive(hashes))

    def send_run_cache(self) -> None:
        self.through_remote(lambda: self.transfer.send_run_cache())

    def through_remote(self, work: Callable[[], Any]) -> Any:
        try:
            return self.guard("dvc", work)
        except Exception as error:  # of any library of a remote
            raise UserError(f"the DVC remote {self.remote()}: {one_line(error)}") from None

    @cached_property
    def transfer(self) -> Transfer:
        return Transfer(self.repo)

    def remote_config(self) -> dict[str, Any]:
        """The settings by which a copy of the workspace, without git, finds the remote."""
        name = self.remote()
        return {
            "core": {"no_scm": True, "remote": name},
            "remote": {name: dict(self.repo.config["remote"][name])},
        }

    def write_lock(self) -> None:
        """Write dvc.lock as a whole, if it changes."""
        text = join_lock(self.entries, list(self.stages))
        if not self.lock_file.exists() or self.lock_file.read_text(encoding="utf-8") != text:
            write_whole(self.lock_file, text.encode())

    def hold(self, name: str) -> None:
        """Note the files of a running stage as in use, so that a DVC command that would change them stops."""
        stage = self.stages[name]
        self.in_use[name] = ExitStack()
        paths = [[each.fs_path for each in group] for group in (stage.deps, stage.outs)]
        context = rwlock(self.repo.tmp_dir, self.repo.fs, f"hw2 repro: {name}", *paths, False)
        self.guard(name, lambda: self.in_use[name].enter_context(context))

    def release(self, name: str) -> None:
        if held := self.in_use.pop(name, None):
            held.close()

    def release_all(self) -> None:
        for name in [*self.in_use]:
            self.release(name)

    def guard(self, name: str, work: Callable[[], Any]) -> Any:
        """Do some work of DVC, in the root folder, as DVC needs it, and with one line about an error."""
        try:
            with ONE_AT_A_TIME, contextlib.chdir(self.root):
                return work()
        except RunCacheNotFoundError:
            raise
        except DvcException as error:
            raise UserError(f"{name}: {one_line(error)}") from None

    def remote(self) -> str | None:
        """The name of the DVC remote, if there is one."""
        found: str | None = self.repo.config["core"].get("remote")
        return found

    def fetch(self, names: list[str]) -> None:
        """Fetch the outputs of these stages from the remote into the cache."""
        with ONE_AT_A_TIME, contextlib.chdir(self.root):
            self.repo.fetch(targets=names, run_cache=True)


def within(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder}/")


def reasons_of(stage: Any) -> Iterator[str]:
    if stage.changed_stage():
        yield "another command"
    for each in (*stage.deps, *stage.outs):
        for path, state in each.workspace_status().items():
            if isinstance(state, str):
                yield f"{path} {CHANGES.get(state, state)}"
            else:  # keys of a file
                yield from describe(each.hash_info.value or {}, each.read_params())
    for out in stage.outs:
        if out.use_cache and out.changed_cache():
            yield f"{out.def_path} is not in the cache"


def one_line(error: BaseException) -> str:
    """The message of an exception and of its causes, in one line."""
    texts: list[str] = []
    cause: BaseException | None = error
    while cause:
        texts += [" ".join(str(cause).split())]
        cause = cause.__cause__
    return ": ".join(dict.fromkeys(text for text in texts if text))
