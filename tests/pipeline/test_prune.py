"""`hw2 prune`: what params no longer select is removed, after it was named."""

from pathlib import Path

import pytest
from toys import ENGINE, workspace

from hw2core.pipeline.prune import prune
from hw2core.pipeline.scheduler import reproduce

STAGES = """
  train:
    foreach: ${seeds}
    do:
      cmd: mkdir -p models stages/train/seed${item} && touch models/seed${item} stages/train/seed${item}/metrics.json
      params: [number]
      outs:
        - models/seed${item}
        - stages/train/seed${item}/metrics.json: {cache: false}
"""


def test_a_seed_that_is_gone_leaves_no_files_and_no_entry(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    layout = workspace(tmp_path / "toy", STAGES)
    layout.params.write_text("number: 1\nseeds: [0, 1]\n")
    reproduce(layout, ENGINE, "1")
    before = (layout.root / "dvc.lock").read_text()
    raw = layout.raw("meters")
    raw.mkdir(parents=True)
    capsys.readouterr()
    prune(layout, remove=True)
    assert capsys.readouterr().out.startswith("Nothing to remove")

    layout.params.write_text("number: 1\nseeds: [0]\n")
    files = {path for path in layout.root.rglob("*") if "seed1" in path.name}
    prune(layout, remove=False)
    said = capsys.readouterr().out.splitlines()
    assert said[:-1] == ["models/seed1", "stages/train/seed1/", "dvc.lock: 1 entries, train@1"]
    assert all(path.exists() for path in files)

    prune(layout, remove=True)
    assert not any("seed1" in path.name for path in layout.root.rglob("*"))
    assert (layout.root / "dvc.lock").read_text() in before
    assert (layout.root / "models" / "seed0").exists()
    assert raw.exists()

    layout.params.write_text("number: 1\nseeds: [0, 1]\n")
    capsys.readouterr()
    reproduce(layout, ENGINE, "1")
    assert ": 0 ran, 1 came from the cache" in capsys.readouterr().out
    assert (layout.root / "dvc.lock").read_text() == before
