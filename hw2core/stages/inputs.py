"""Stages pair_inputs and generation_inputs: checksums of what trainings and evaluations read.

DVC's `matrix` knows the name of a pair, not its domains, and the name `digits`, not the dataset behind it. These stages
write the checksums of the files behind such a name, a key for each purpose, and other stages depend on the key that is
theirs. So a new seed or adapter changes no key that was there.
"""

import hashlib
import json
from typing import Any

from hw2core.engine.images import read_about
from hw2core.errors import UserError
from hw2core.files import sha256_of, write_whole
from hw2core.layout import Layout
from hw2core.settings import Params
from hw2core.settings.registry import ADAPTER_SETTINGS

Inputs = dict[str, Any]


def pair_inputs(params: Params, layout: Layout, pair_name: str) -> None:
    """What every adapter, seed by seed, reads of a pair: both domains and, for some, the source's classifier."""
    if pair_name not in params.pairs:
        raise UserError(f"unknown pair {pair_name}; pairs has: {', '.join(params.pairs)}")
    pair = params.pairs[pair_name]
    domains = {name: images_of(layout, name) for name in (pair.source, pair.target)}
    inputs: Inputs = {"domains": domains}
    for method in params.adapters:
        inputs[method] = {}
        for seed in params.seeds:
            found: Inputs = dict(domains)
            if ADAPTER_SETTINGS[method].starts_from_source:
                found["source_classifier"] = sha256_of(layout.model("train_classifier", pair.source, seed))
            inputs[method][f"seed{seed}"] = found
    write(layout, pair_name, inputs)


def generation_inputs(params: Params, layout: Layout, kind: str) -> None:
    """What generators of digits or faces learn, and the weights by which their images are compared."""
    if kind == "digits":
        dataset = params.data.digits
        extractor = layout.model("train_classifier", dataset, params.seeds[0])
    elif kind == "faces":
        dataset = params.data.faces
        extractor = layout.model("train_face_features", "faces", 0)
    else:
        raise UserError(f"unknown kind {kind}; there are: digits, faces")
    inputs: Inputs = {"images": images_of(layout, dataset), "extractor": sha256_of(extractor)}
    if kind == "faces" and (weights := inception_weights(layout)):
        inputs["extractor"] = [inputs["extractor"], weights]
    write(layout, kind, inputs)


def inception_weights(layout: Layout) -> str | None:
    """The checksum of FID's weights, if stage download_inception has fetched them."""
    about = layout.inception / "about.json"
    return json.loads(about.read_text(encoding="utf-8")).get("sha256") if about.is_file() else None


def images_of(layout: Layout, dataset: str) -> str:
    """One checksum of a ready dataset's arrays and of the names of its attributes."""
    about = read_about(layout.ready(dataset))
    content = json.dumps([about["sha256"], about.get("attributes")], sort_keys=True)
    return hashlib.sha256(content.encode()).hexdigest()


def write(layout: Layout, name: str, inputs: Inputs) -> None:
    write_whole(layout.inputs(name), (json.dumps(inputs, indent=2) + "\n").encode())
