"""`hw2 compare`: the results of two revisions or experiments on one page."""

import io
import tarfile
import tempfile
from pathlib import Path

from hw2core.errors import UserError
from hw2core.files import write_whole
from hw2core.layout import Layout
from hw2core.report import comparison, html, pages
from hw2core.report.comparison import Side
from hw2core.revisions import find_commit, run
from hw2core.settings import load_params
from hw2core.stages.report import draw


def compare(layout: Layout, first: str, second: str) -> Path:
    """Write reports/compare.html, and return its path."""
    with tempfile.TemporaryDirectory() as scratch:
        folders = [Path(scratch) / side for side in ("first", "second")]
        sides = [
            extracted(layout, name, folder) for name, folder in zip((first, second), folders, strict=True)
        ]
        pictures = [draw(comparison.samples(side))[0] for side in sides]
        both = [name for name in pictures[0] if name in pictures[1]]
        shown = {
            f"figures/{folder.name}_{name}.png": files[name].webp
            for folder, files in zip(folders, pictures, strict=True)
            for name in both
        }
        context = {
            "first": first,
            "second": second,
            "params": comparison.changed_params(sides),
            "tables": comparison.compared(sides),
            "pictures": both,
        }
        text = pages.markdown(context, {}, "compare.md.j2")
        page = html.page(text, f"{first} and {second}", shown, {}, {})
    path = layout.reports / "compare.html"
    write_whole(path, page.encode())
    return path


def extracted(layout: Layout, name: str, folder: Path) -> Side:
    """The params and metrics of a revision, or of an experiment of DVC, in a folder of their own."""
    packed = run(layout, "archive", find_commit(layout, name), "params.yaml", "stages")
    if packed.returncode != 0:
        raise UserError(f"{name}: has no params.yaml or no stages/, so there is nothing to compare")
    folder.mkdir()
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return Side(name, load_params(folder / "params.yaml"), Layout(folder))
