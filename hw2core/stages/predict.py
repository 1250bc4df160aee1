"""`hw2 predict`: a folder of images in, the course's csv out."""

import csv
import io
from pathlib import Path

import numpy as np
import torch

from hw2core.data.batches import resident
from hw2core.data.frames import digit_frame
from hw2core.data.labels import IMAGE, LABEL
from hw2core.data.listings import IMAGES
from hw2core.data.pictures import read_pictures
from hw2core.data.store import Split
from hw2core.data.trees import open_tree
from hw2core.engine.device import choose_device
from hw2core.errors import UserError
from hw2core.files import write_whole
from hw2core.judges.classification import outputs
from hw2core.layout import Layout
from hw2core.params import ADAPTERS, Params
from hw2core.stages.names import check_domain, get_pair
from hw2core.stages.predictors import Predictor, load_adapter, load_classifier


def predict(
    params: Params, layout: Layout, run: str, images: str, out: str, weights: str, soft: bool
) -> None:
    """Write a row for every image below a folder, or in an archive, sorted by name."""
    method, _, item = run.partition("/")
    weights = weights or f"seed{params.seeds[0]}.last"
    device = choose_device(params.engine)
    if method == "classifier":
        check_domain(params, item)
        domain = item
        system: Predictor = load_classifier(params, layout, device, domain, weights)
    elif method in ADAPTERS:
        domain = get_pair(params, item).target
        system = load_adapter(params, layout, device, method, item, weights)
    else:
        raise UserError(
            f"--run: must be METHOD/PAIR, or classifier/DOMAIN, not {run!r}; methods: {', '.join(ADAPTERS)}"
        )
    tree = open_tree(Path(images))
    files = [file for file in tree.files if file.lower().endswith(IMAGES)]
    if not files:
        raise UserError(f"{images}: has no png, jpeg or bmp image")
    names = [file.rpartition("/")[2] for file in files]
    if len(set(names)) < len(names):
        names = files  # in folders of their own: the path tells them apart
    pictures = read_pictures(tree, files, digit_frame(domain))
    logits = outputs(system.logits, resident(Split(pictures, np.zeros(len(files), np.uint8)), device))
    chances = torch.softmax(logits, 1).cpu()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([IMAGE, LABEL, *(f"p{digit}" for digit in range(10) if soft)])
    for name, label, row in sorted(zip(names, chances.argmax(1).tolist(), chances.tolist(), strict=True)):
        writer.writerow([name, label, *(f"{chance:.6f}" for chance in row if soft)])
    write_whole(Path(out), text.getvalue().encode())
    print(f"{out}: {len(files)} images by {run}, {weights}")
