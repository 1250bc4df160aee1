"""Who judges digits: the course's LeNet if one was brought, else a classifier of the pipeline's own."""

from collections.abc import Callable
from pathlib import Path

from torch import Tensor

from hw2core.data.frames import DIGIT
from hw2core.engine.device import Device
from hw2core.files import sha256_of
from hw2core.judges.digits import load_lenet
from hw2core.judges.extractors import Extractor
from hw2core.layout import Layout
from hw2core.params import Params
from hw2core.stages.names import check_domain
from hw2core.stages.predictors import load_classifier


def digit_judge(
    params: Params, layout: Layout, device: Device, domain: str
) -> tuple[Callable[[Tensor], Tensor], str]:
    """Who reads the digits, and who that is in words: the course's LeNet if one was brought."""
    if checkpoint := params.judges.digits.checkpoint:
        path = Path(checkpoint).expanduser()
        lenet = load_lenet(path)
        device.place(lenet)
        return lenet, f"the course's LeNet, {path.name}"
    weights = f"seed{params.seeds[0]}.last"
    check_domain(params, domain)
    return load_classifier(
        params, layout, device, domain, weights
    ).logits, f"the classifier of {domain}, {weights}"


def classifier_extractor(params: Params, layout: Layout, device: Device, domain: str) -> Extractor:
    """The features of a digit domain's own classifier: what `fid_digits` is measured by."""
    check_domain(params, domain)
    weights = f"seed{params.seeds[0]}.last"
    system = load_classifier(params, layout, device, domain, weights)
    return Extractor(
        name=f"the classifier of {domain} ({params.dann.arch}, {weights})",
        suffix="_digits",
        sha256=sha256_of(layout.stage("train_classifier", domain) / "model.safetensors"),
        resize="not resized",
        size=(DIGIT, DIGIT),
        network=system.networks,
        features=lambda images: (system.features(images), None),
    )
