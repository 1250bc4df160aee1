"""Stages train_classifier and train_* of the adaptation methods: what they train on, and what is noted meanwhile."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor

from hw2core.data.augment import jitter
from hw2core.data.batches import ImageSet, Shuffle, resident
from hw2core.data.store import open_split
from hw2core.engine import journal
from hw2core.engine.device import Device, choose_device
from hw2core.engine.loop import Trained, Watch
from hw2core.files import sha256_of
from hw2core.judges.classification import accuracy, density, information, log_likelihood, outputs, spread
from hw2core.layout import Layout
from hw2core.params import Params
from hw2core.stages.names import check_domain, get_pair
from hw2core.stages.predictors import (
    Predictor,
    StartsFromSource,
    build_adapter,
    build_classifier,
    source_model,
    start_from_source,
)
from hw2core.stages.seeds import trained_seeds

UNLABELLED = 1000  # images that the label-free criterion looks at


def train_classifier(params: Params, layout: Layout, domain: str) -> None:
    check_domain(params, domain)
    device = choose_device(params.engine)
    images, held_out = training_images(params, layout, domain, device)
    test = resident(open_split(layout.ready(domain), "test"), device)

    def batches(*names: str | int) -> Callable[[int], Any]:
        return labelled(params, domain, images, params.classifier.batch, *names)

    def look(system: Predictor) -> dict[str, float]:
        held_out_logits = outputs(system.logits, held_out)
        return {
            "held_out_log_likelihood": log_likelihood(held_out_logits, held_out.labels),
            "held_out_accuracy": accuracy(held_out_logits, held_out.labels),
            "test_accuracy": accuracy(outputs(system.logits, test), test.labels),
        }

    chooses = "held_out_log_likelihood"
    with trained_seeds(
        "train_classifier",
        domain,
        params,
        layout,
        device,
        seeds=params.seeds,
        settings=params.classifier,
        build=lambda seed: build_classifier(params),
        batches=batches,
        watch=lambda system, _: Watch(params.engine.evaluate_every, lambda step: look(system), chooses),
        reads=[domain],
        facts={"arch": params.dann.arch},
    ) as (runs, _):
        write_metrics(
            layout,
            params,
            device,
            runs,
            stage="train_classifier",
            item=domain,
            steps=params.classifier.steps,
            chosen_by=f"log-likelihood of {len(held_out)} held-out training images",
            choices={"chosen": chooses},
            test_images=len(test),
        )


def train_adapter(params: Params, layout: Layout, method: str, pair_name: str) -> None:
    pair = get_pair(params, pair_name)
    settings = getattr(params, method)
    device = choose_device(params.engine)
    source, held_out = training_images(params, layout, pair.source, device)
    facts: dict[str, Any] = {"arch": params.dann.arch}
    if isinstance(build_adapter(params, method), StartsFromSource):
        facts["start"] = sha256_of(source_model(layout, pair.source))
    # The target's training labels are used by nothing below: a batch drops them.
    target = resident(open_split(layout.ready(pair.target), "train"), device)
    unlabelled = target.first(UNLABELLED)
    test = resident(open_split(layout.ready(pair.target), "test"), device)

    def build(seed: int) -> Predictor:
        system = build_adapter(params, method)
        if isinstance(system, StartsFromSource):
            start_from_source(system, layout, pair.source, seed)
        return system

    def batches(*names: str | int) -> Callable[[int], Any]:
        sources = labelled(params, pair.source, source, settings.batch, *names, "source")
        targets = Shuffle(target, settings.batch, *names, "target")
        return lambda k: (*sources(k), targets.at(k)[0])

    def look(system: Predictor) -> dict[str, float]:
        unlabelled_logits = outputs(system.logits, unlabelled)
        return {
            "information": information(unlabelled_logits),
            "density": density(unlabelled_logits),
            "source_accuracy": accuracy(outputs(system.logits, held_out), held_out.labels),
            "test_accuracy": accuracy(outputs(system.logits, test), test.labels),
        }

    chooses = "information"
    with trained_seeds(
        f"train_{method}",
        pair_name,
        params,
        layout,
        device,
        seeds=params.seeds,
        settings=settings,
        build=build,
        batches=batches,
        watch=lambda system, _: Watch(params.engine.evaluate_every, lambda step: look(system), chooses),
        reads=[pair.source, pair.target],
        facts=facts,
    ) as (runs, _):
        write_metrics(
            layout,
            params,
            device,
            runs,
            stage=f"train_{method}",
            item=pair_name,
            steps=settings.steps,
            chosen_by=f"information maximisation over {len(unlabelled)} unlabelled target training images",
            choices={"chosen": chooses, "density": "density", "oracle": "test_accuracy"},
            test_images=len(test),
        )


def training_images(params: Params, layout: Layout, domain: str, device: Device) -> tuple[ImageSet, ImageSet]:
    """A domain's training set without its held-out share, and that share."""
    images = resident(open_split(layout.ready(domain), "train"), device)
    return images.divide(max(1, round(params.data.holdout * len(images))))


def labelled(
    params: Params, domain: str, images: ImageSet, batch: int, *names: str | int
) -> Callable[[int], tuple[Tensor, Tensor]]:
    """A domain's labelled batches, in random colours if the params say so."""
    order = Shuffle(images, batch, *names)
    if domain not in params.data.jitter:
        return order.at

    def jittered(k: int) -> tuple[Tensor, Tensor]:
        pictures, labels = order.at(k)
        return jitter(pictures, *names, "jitter", k), labels

    return jittered


def write_metrics(
    layout: Layout,
    params: Params,
    device: Device,
    runs: Mapping[int, Trained],
    *,
    stage: str,
    item: str,
    steps: int,
    chosen_by: str,
    choices: dict[str, str],
    test_images: int,
) -> None:
    """The accuracies at the last step and at those that `choices` make: each by the noted value that is highest."""
    journal.write_metrics(
        layout.stage(stage, item),
        {
            "accuracy": {
                "last": spread([run.history[-1]["test_accuracy"] for run in runs.values()]),
                **{
                    name: spread([highest(run.history, value)["test_accuracy"] for run in runs.values()])
                    for name, value in choices.items()
                },
            },
            "test_images": test_images,
            "steps": steps,
            "chosen_by": chosen_by,
            "chosen_steps": [run.chosen_step for run in runs.values()],
            "seeds": params.seeds,
            "device": device.about,
        },
    )


def highest(history: list[journal.Row], value: str) -> journal.Row:
    """The line of the history at which a noted value is highest, the first if there are several."""
    return max(history, key=lambda row: row[value])
