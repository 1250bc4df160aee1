"""Every path of the workspace, defined once."""

import os
from dataclasses import dataclass
from pathlib import Path

from hw2core.errors import UserError


@dataclass(frozen=True)
class Layout:
    """The folders and files of one workspace, below `root`."""

    root: Path
    outdated: frozenset[str] = frozenset()
    """Outputs, relative to the root, that count as missing: they are of other params or data."""

    @property
    def params(self) -> Path:
        return self.root / "params.yaml"

    @property
    def profiles(self) -> Path:
        return self.root / "profiles"

    @property
    def gate(self) -> Path:
        return self.root / "gate.yaml"

    @property
    def stages(self) -> Path:
        return self.root / "stages"

    @property
    def reports(self) -> Path:
        return self.root / "reports"

    @property
    def inception(self) -> Path:
        """What stage download_inception fetches."""
        return self.raw("inception")

    def published(self, name: str) -> Path:
        return self.reports / "published" / name

    @property
    def runs(self) -> Path:
        """Resume state and logs. An experiment runs in a copy of the workspace that DVC deletes when it
        fails; `DVC_ROOT` names the real one, where a checkpoint outlives the failure."""
        return Path(os.environ.get("DVC_ROOT") or self.root) / "runs"

    @property
    def features(self) -> Path:
        """Features extracted from images, cached by content. Can be deleted at any time."""
        return self.runs / "features"

    def raw(self, dataset: str) -> Path:
        return self.root / "data" / "raw" / dataset

    def ready(self, dataset: str) -> Path:
        return self.root / "data" / "ready" / dataset

    def sheet(self, dataset: str) -> Path:
        return self.root / "data" / "sheets" / f"{dataset}.png"

    def stage(self, stage: str, item: str, seed: int | None = None) -> Path:
        """The folder of what a stage measured on an item; of one seed, if it has seeds."""
        folder = self.stages / stage / item
        return folder if seed is None else folder / f"seed{seed}"

    def model(self, stage: str, item: str, seed: int) -> Path:
        """The weights of one training."""
        return self.root / "models" / stage / item / f"seed{seed}.safetensors"

    def inputs(self, name: str) -> Path:
        """The checksums of the files that the trainings on a pair, or on generated images, read."""
        return self.stages / "inputs" / f"{name}.json"


def find_workspace(start: Path | None = None) -> Layout:
    """The workspace around `start`: the nearest folder upwards that holds params.yaml and dvc.yaml."""
    start = (start or Path.cwd()).resolve()
    for folder in (start, *start.parents):
        if (folder / "params.yaml").is_file() and (folder / "dvc.yaml").is_file():
            return Layout(folder)
    raise UserError(
        f"no workspace here: neither {start} nor a folder above it holds params.yaml and dvc.yaml; "
        "change into your clone of hw2core"
    )
