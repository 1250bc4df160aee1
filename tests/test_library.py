"""docs/library.md runs as it stands."""

import re
from typing import Any

import torch
from conftest import ROOT, Workspace


def test_the_blocks_of_the_page_run_one_after_the_other(workspace: Workspace) -> None:
    blocks = re.findall(r"(?s)```python\n(.*?)```", (ROOT / "docs" / "library.md").read_text())
    assert len(blocks) == 5
    assert all(
        len([line for line in block.splitlines() if line and "import" not in line]) <= 10 for block in blocks
    )
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)
    assert names["predicted"].shape == names["test"].labels[:100].shape
    assert names["digits"].shape == (10, 28, 28, 3)
    assert all(torch.isfinite(loss) for loss in names["losses"].values())
