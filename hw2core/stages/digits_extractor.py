"""The classifiers by which generated digits are compared and read."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from torch import Tensor

from hw2core.engine.device import Device
from hw2core.evaluation.digits import load_lenet
from hw2core.evaluation.extractors import Extractor
from hw2core.files import sha256_of
from hw2core.layout import Layout
from hw2core.settings import Params
from hw2core.stages import predictors

DIGIT = (28, 28)  # height and width that classifiers take


def digit_extractor(params: Params, layout: Layout, device: Device, domain: str) -> Extractor:
    """A domain's classifier, first seed, last step: its features compare digits."""
    predictors.check_domain(params, domain)
    seed = params.seeds[0]
    system = predictors.load(params, layout, device, "classifier", domain, seed)
    return Extractor(
        name=f"classifier of {domain} ({params.backbone}, seed {seed})",
        suffix="digits",
        sha256=sha256_of(layout.model("train_classifier", domain, seed)),
        resize="none",
        size=DIGIT,
        network=system.networks,
        features=lambda images: (system.features(images), None),
    )


def digit_reader(
    params: Params, layout: Layout, device: Device, domain: str
) -> tuple[Callable[[Tensor], Tensor], str]:
    """The classifier that reads generated digits, and its name: the course's LeNet if params give its checkpoint."""
    if checkpoint := params.evaluation.digits.checkpoint:
        path = Path(checkpoint).expanduser()
        lenet: Any = load_lenet(path)
        device.place(lenet)
        return lenet, f"the course's LeNet ({path.name})"
    predictors.check_domain(params, domain)
    seed = params.seeds[0]
    system = predictors.load(params, layout, device, "classifier", domain, seed)
    return system.logits, f"classifier of {domain}, seed {seed}"
