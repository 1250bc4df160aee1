"""Where the weights of FID's Inception network are, by `evaluation.faces.inception`."""

import os
from pathlib import Path

from hw2core.layout import Layout

OFFICIAL = "official"
"""The value for which stage download_inception fetches the weights."""
FILE = "pt_inception-2015-12-05-6726825d.pth"
PUBLISHED = "6726825d"  # the first digits of its SHA-256, which pytorch-fid puts in the file name


def weights_file(setting: str | None, layout: Layout) -> Path | None:
    """The file that params mean."""
    if setting == OFFICIAL:
        return layout.inception / FILE
    return Path(setting).expanduser() if setting else None


def cached_weights() -> Path:
    """Where pytorch-fid caches its download: in the folder of torch.hub, which takes seconds to import."""
    home = os.environ.get("TORCH_HOME") or f"{os.environ.get('XDG_CACHE_HOME') or '~/.cache'}/torch"
    return Path(home).expanduser() / "hub" / "checkpoints" / FILE
