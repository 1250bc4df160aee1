"""Which metrics were measured on other data than in the base: two data sets never compare, whatever they are called."""

from collections.abc import Iterable
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from hw2core.layout import Layout
from hw2core.revisions import file_of
from hw2core.settings.runs import Run

READY = "data/ready/"


def on_other_data(layout: Layout, commit: str, runs: Iterable[Run]) -> set[str]:
    """The stage/item of runs whose data have other checksums in the base's dvc.lock than in that of the working tree."""
    base = Data(*(file_of(layout, commit, name) for name in ("params.yaml", "dvc.lock")))
    files = (layout.params, layout.root / "dvc.lock")
    here = Data(*(path.read_bytes() if path.is_file() else b"" for path in files))
    return {
        f"{run.stage}/{run.item}"
        for run in runs
        if base.of(run) and here.of(run) and base.of(run) != here.of(run)
    }


class Data:
    """What params.yaml and dvc.lock say about data sets."""

    def __init__(self, params: bytes, lock: bytes) -> None:
        self.params, stages = parse(params), parse(lock).get("stages") or {}
        self.checksums = {
            out["path"].removeprefix(READY): out["md5"]
            for stage in stages.values()
            for out in stage.get("outs", ())
            if out["path"].startswith(READY)
        }

    def of(self, run: Run) -> list[str]:
        """The checksums of a run's data sets; nothing if one is not known."""
        names = self.names(run)
        return (
            [self.checksums[name] for name in names] if all(name in self.checksums for name in names) else []
        )

    def names(self, run: Run) -> list[str]:
        data, kind = self.params.get("data") or {}, run.stage.partition("_")[2]
        if kind in ("ddpm", "acgan") and run.item == "digits":
            return [data.get("digits", "")]
        if kind in ("gan", "autoencoder", "acgan", "real", "face_features"):
            return [data.get("faces", "")]
        if run.stage == "evaluate_classifier":
            return list(data.get("domains") or ())
        if run.stage == "train_classifier":
            return [run.item]
        pairs = self.params.get("pairs") or {}
        pair: dict[str, str] = next(
            (pair for name, pair in pairs.items() if f"-{run.item}".endswith(f"-{name}")), {}
        )
        return [pair.get("source", ""), pair.get("target", "")]


def parse(content: bytes) -> dict[str, Any]:
    try:
        found = YAML(typ="safe", pure=True).load(content.decode())
    except (ValueError, YAMLError):
        return {}
    return found if isinstance(found, dict) else {}
