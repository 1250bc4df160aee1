"""`hw2 data`: what is ready of a dataset, for the eye."""

import os
from pathlib import Path

from hw2core.data import store
from hw2core.layout import Layout
from hw2core.params import Params
from hw2core.report import figures


def show(params: Params, layout: Layout, dataset: str, picture: str) -> None:
    """Say what a ready dataset holds, and draw its contact sheet."""
    folder = layout.ready(dataset)
    about = store.read_about(folder)
    splits = {name: store.open_split(folder, name) for name in store.SPLITS}
    print(f"{about['name']}, {about['source']}: {about['made']}")
    height, width = splits["train"].images.shape[1:3]
    counts = {name: about["counts"][name] for name in store.SPLITS}
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
    figures.save(figures.contact_sheet(splits["train"], f"{dataset}, training images"), path)
    print(f"contact sheet: {os.path.relpath(path)}")
