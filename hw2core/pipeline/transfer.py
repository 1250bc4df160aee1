"""Files that pass from machine to machine through the DVC remote, named by their content."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from dvc.fs import LocalFileSystem
from dvc.repo import Repo
from dvc_data.hashfile import load
from dvc_data.hashfile.build import build
from dvc_data.hashfile.checkout import checkout
from dvc_data.hashfile.hash_info import HashInfo
from dvc_data.hashfile.transfer import transfer
from dvc_data.hashfile.tree import Tree

from hw2core.errors import UserError

Hashes = Mapping[str, str]
"""Of files and folders, as DVC computes them, by path relative to the workspace."""


class Transfer:
    """The files of one workspace. Nothing that the remote or the cache already has is copied."""

    def __init__(self, repo: Repo) -> None:
        self.repo, self.cache = repo, repo.cache.local
        self.remote = repo.cloud.get_remote_odb(None, "push")
        self.run_cache = repo.cloud.get_remote_odb(None, "push", hash_name="md5-dos2unix")
        self.sent: set[HashInfo] = set()

    def send(self, paths: Iterable[str]) -> Hashes:
        """Put these files and folders into the remote."""
        hashes: dict[str, str] = {}
        infos: set[HashInfo] = set()
        for path in paths:
            staging, _, found = build(
                self.cache, self.absolute(path), LocalFileSystem(), "md5", ignore=self.repo.dvcignore
            )
            transfer(staging, self.cache, {found.hash_info}, shallow=False)
            assert found.hash_info.value
            hashes[path] = found.hash_info.value
            infos |= {found.hash_info, *self.members(found.hash_info)}
        self.copy(self.cache, self.remote, infos - self.sent)
        self.sent |= infos
        return hashes

    def receive(self, hashes: Hashes) -> None:
        """Put the files and folders of these hashes into the workspace."""
        infos = {HashInfo("md5", value) for value in hashes.values()}
        self.copy(self.remote, self.cache, infos)
        self.copy(self.remote, self.cache, {member for info in infos for member in self.members(info)})
        for path, value in hashes.items():
            found = load(self.cache, HashInfo("md5", value))
            checkout(
                self.absolute(path), LocalFileSystem(), found, self.cache, force=True, state=self.repo.state
            )

    def send_run_cache(self) -> None:
        """Put the entries of finished stages into the remote, so that no other run needs to repeat them."""
        self.repo.stage_cache.transfer(self.repo.cache.legacy, self.run_cache, force=False)

    def members(self, info: HashInfo) -> set[HashInfo]:
        """The files of a folder."""
        return {member for _, _, member in Tree.load(self.cache, info)} if info.isdir else set()

    def copy(self, source: Any, target: Any, infos: set[HashInfo]) -> None:
        if not infos:
            return
        # It remembers listings of folders, in which what other machines have sent since is missing.
        self.remote.fs.fs.invalidate_cache()
        if failed := transfer(source, target, infos, validate_status=refuse_missing).failed:
            raise UserError(f"{len(failed)} of {len(infos)} files could not be copied")

    def absolute(self, path: str) -> str:
        return str(Path(self.repo.root_dir) / path)


def refuse_missing(status: Any) -> None:
    """Without it, files that neither side has are passed over."""
    if status.missing:
        raise UserError(f"{len(status.missing)} files are missing: {', '.join(map(str, status.missing))}")
