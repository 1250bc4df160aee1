"""`hw2 judge`: any folder of images, evaluated as the pipeline evaluates its own."""

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from hw2core.data.decode import decode
from hw2core.data.fetch import fetch_file
from hw2core.data.frames import DIGIT, whole
from hw2core.data.listings import IMAGES
from hw2core.data.pictures import read_pictures
from hw2core.data.problems import Problems
from hw2core.data.trees import Tree, open_tree
from hw2core.engine import journal
from hw2core.engine.batches import ImageSet
from hw2core.errors import UserError
from hw2core.evaluation import inception
from hw2core.evaluation.classification import outputs
from hw2core.evaluation.digits import digit_accuracy
from hw2core.evaluation.extractors import Extractor, compare, extract
from hw2core.evaluation.files import detect_faces_in_files
from hw2core.layout import Layout
from hw2core.settings import Params
from hw2core.settings.inception import OFFICIAL, cached_weights, weights_file
from hw2core.stages.commands import every_core
from hw2core.stages.digits_extractor import digit_extractor, digit_reader
from hw2core.stages.faces_extractor import face_extractor
from hw2core.stages.inception import inception_remote


def fid(
    params: Params, layout: Layout, fake: str, real: str, domain: str, by_faces: bool, as_json: bool
) -> None:
    """Compare two folders of images: by Inception features or, offline, by those of a domain's classifier or of the
    network train_face_features."""
    if domain and by_faces:
        raise UserError("--digits and --faces: name one of them")
    sets = [read_folder(*open_images(folder)) for folder in (fake, real)]
    device = every_core(params)
    if domain:
        extractor = digit_extractor(params, layout, device, domain)
    else:
        extractor = face_extractor(params, layout) if by_faces else inception_extractor(params, layout)
    features = [
        extract(extractor, images, device, layout.features, folder)
        for images, folder in zip(sets, (fake, real), strict=True)
    ]
    say(compare(extractor, *features), as_json)


def faces(params: Params, layout: Layout, folder: str, as_json: bool) -> None:
    """The face detection rate of a folder of images."""
    say(detect_faces_in_files(*open_images(folder)), as_json)


def digits(params: Params, layout: Layout, folder: str, domain: str, as_json: bool) -> None:
    """The digit accuracy of a folder of images, whose names begin with their digit."""
    tree, files = open_images(folder)
    labels = digits_in_names(tree, files)
    images = read_pictures(tree, files, partial(whole, size=(DIGIT, DIGIT))).images
    device = every_core(params)
    reader, name = digit_reader(params, layout, device, domain)
    pictures = ImageSet(torch.from_numpy(images).to(device.kind), labels.to(device.kind), device)
    say(digit_accuracy(outputs(reader, pictures), pictures.labels) | {"classifier": name}, as_json)


def open_images(folder: str) -> tuple[Tree, list[str]]:
    tree = open_tree(Path(folder))
    files = [file for file in tree.files if file.lower().endswith(IMAGES)]
    if not files:
        raise UserError(f"{folder}: has no png, jpeg or bmp image")
    return tree, files


def read_folder(tree: Tree, files: list[str]) -> NDArray[np.uint8]:
    """Images as they are, all of the first one's size."""
    first = decode(f"{tree.name}/{files[0]}", tree.read(files[0]))
    return read_pictures(tree, files, partial(whole, size=first.size)).images


def digits_in_names(tree: Tree, files: list[str]) -> Tensor:
    """The digit before each name's first underscore, as in 7_001.png."""
    problems, labels = Problems(), []
    for file in files:
        digit, line, _ = file.rpartition("/")[2].partition("_")
        if line and len(digit) == 1 and digit in "0123456789":
            labels.append(int(digit))
        else:
            problems.add(
                f"{tree.name}/{file}", "does not say its digit", "name it <digit>_<number>.png, as 7_001.png"
            )
    problems.raise_any()
    return torch.tensor(labels)


def inception_extractor(params: Params, layout: Layout) -> Extractor:
    """FID's network: from the file that params mean, else from pytorch-fid's cache, else downloaded there."""
    setting = params.evaluation.faces.inception
    named = weights_file(setting, layout)
    if named and (named.is_file() or setting != OFFICIAL):
        return inception.inception(named)
    path = cached_weights()
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        print(f"downloading the Inception weights to {path}", file=sys.stderr)
        fetch_file(inception_remote(), path.parent, params.data.mirror, [])
    return inception.inception(path)


def say(found: dict[str, Any], as_json: bool) -> None:
    found = journal.rounded(found)
    if as_json:
        print(json.dumps(found))
        return
    width = max(map(len, found))
    for name, value in found.items():
        print(f"{name:<{width}}  {worded(value)}")


def worded(value: Any) -> str:
    match value:
        case {"mean": mean, "std": std, "subset": subset}:
            return f"{mean} \u00b1 {std} over subsets of {subset}"
        case {"mean": mean, "std": std}:
            return f"{mean} \u00b1 {std}"
        case dict():
            return ", ".join(f"{key}: {item}" for key, item in value.items())
        case list():
            return "\n" + "\n".join(" ".join(f"{item:>5}" for item in row) for row in value)
    return str(value)
