"""`hw2 predict`: a folder of images in, the course's csv out."""

import csv
import io
import re
from pathlib import Path

import numpy as np
import torch

from hw2core.data.frames import digit_frame
from hw2core.data.labels import IMAGE, LABEL
from hw2core.data.listings import IMAGES
from hw2core.data.pictures import read_pictures
from hw2core.data.trees import open_tree
from hw2core.engine.batches import resident
from hw2core.engine.device import choose_device
from hw2core.engine.images import Split
from hw2core.errors import UserError
from hw2core.evaluation.classification import outputs
from hw2core.files import write_whole
from hw2core.layout import Layout
from hw2core.settings import Params
from hw2core.stages import predictors


def predict(
    params: Params, layout: Layout, run: str, images: str, out: str, weights: str, soft: bool
) -> None:
    """Write a row for every image below a folder, or in an archive, sorted by name."""
    method, _, item = run.partition("/")
    seed, which = parse_weights(params, weights)
    device = choose_device(params.engine)
    if method == "classifier":
        predictors.check_domain(params, item)
        domain = item
    elif method in params.adapters:
        domain = predictors.get_pair(params, item).target
    else:
        raise UserError(
            f"--run: must be METHOD/PAIR, or classifier/DOMAIN, not {run!r}; methods: {', '.join(params.adapters)}"
        )
    system = predictors.load(params, layout, device, method, item, seed, which)
    tree = open_tree(Path(images))
    files = [file for file in tree.files if file.lower().endswith(IMAGES)]
    if not files:
        raise UserError(f"{images}: has no png, jpeg or bmp image")
    names = [file.rpartition("/")[2] for file in files]
    if len(set(names)) < len(names):
        names = files  # in folders of their own: the path tells them apart
    pictures = read_pictures(tree, files, digit_frame(domain)).images
    logits = outputs(system.logits, resident(Split(pictures, np.zeros(len(files), np.uint8)), device))
    probabilities = torch.softmax(logits, 1).cpu()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([IMAGE, LABEL, *(f"p{digit}" for digit in range(10) if soft)])
    for name, label, row in sorted(
        zip(names, probabilities.argmax(1).tolist(), probabilities.tolist(), strict=True)
    ):
        writer.writerow([name, label, *(f"{probability:.6f}" for probability in row if soft)])
    write_whole(Path(out), text.getvalue().encode())
    print(f"{out}: {len(files)} images by {run}, seed {seed}, {which} step")


def parse_weights(params: Params, weights: str) -> tuple[int, str]:
    """Seed and step of --weights, e.g. seed1.chosen; without it, the first seed's last step."""
    if not weights:
        return params.seeds[0], "last"
    match = re.fullmatch(r"seed(\d{1,10})\.(last|chosen)", weights)
    if not match:
        raise UserError(f"--weights: must be seed<number>.last or seed<number>.chosen, not {weights!r}")
    return int(match[1]), match[2]
