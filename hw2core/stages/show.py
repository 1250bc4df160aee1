"""`hw2 data`: what a ready dataset holds, with a contact sheet."""

import os
from pathlib import Path

from hw2core.engine import images
from hw2core.layout import Layout
from hw2core.report.figures.grids import contact_sheet
from hw2core.report.figures.style import save
from hw2core.settings import Params
from hw2core.settings.checks import source_of
from hw2core.settings.registry import DATASETS
from hw2core.settings.runs import datasets_of


def list_all(params: Params, layout: Layout) -> None:
    """Print every dataset that there is: first those that params name, with their state, then the others of each source."""
    used = datasets_of(params)
    width = max(map(len, used), default=0)
    print("In params.yaml:")
    for name in used:
        source = source_of(params.data.source, name)
        if (layout.ready(name) / "about.json").is_file():
            counts = images.read_about(layout.ready(name))["counts"]
            state = (
                f"ready: {counts['train']['images']:,} training and {counts['test']['images']:,} test images"
            )
        else:
            state = "not ready; `hw2 repro` makes it"
        print(f"  {name:{width}}  {source}, {state}")
    print("Others, by data.source:")
    for source, names in DATASETS.items():
        print(f"  {source}: {', '.join(name for name in names if name not in used) or '-'}")
    print("  folder: any images of yours, at data.folder.paths (docs/data.md)")


def show(params: Params, layout: Layout, dataset: str, picture: str) -> None:
    """Print what a ready dataset holds, and write its contact sheet."""
    folder = layout.ready(dataset)
    about = images.read_about(folder)
    splits = {name: images.open_split(folder, name) for name in images.SPLITS}
    print(f"{about['name']}, {about['source']}: {about['made']}")
    height, width = splits["train"].images.shape[1:3]
    counts = {name: about["counts"][name] for name in images.SPLITS}
    print(
        ", ".join(f"{name} {part['images']:,}" for name, part in counts.items())
        + f" images, {width}x{height}"
    )
    if "attributes" in about:
        heads = about["attributes"]
        rows = {name: [part["with"][head] for head in heads] for name, part in counts.items()}
        lines = [f"{head:<24}" + "".join(f"{rows[n][i]:>9,}" for n in counts) for i, head in enumerate(heads)]
        print("\n".join([f"{'':<24}" + "".join(f"{name:>9}" for name in counts), *lines] if heads else []))
    else:
        print(f"{'digit':<6}" + "".join(f"{digit:>8}" for digit in about["classes"]))
        for name, part in counts.items():
            print(f"{name:<6}" + "".join(f"{part['per_class'][digit]:>8,}" for digit in about["classes"]))
    path = Path(picture) if picture else layout.sheet(dataset)
    save(contact_sheet(splits["train"], f"{dataset}, training images"), path)
    print(f"contact sheet: {os.path.relpath(path)}")
