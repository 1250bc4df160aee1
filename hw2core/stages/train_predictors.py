"""Stages train_classifier and train_adapter: classifiers of one domain, and their adaptation to another."""

from collections.abc import Callable
from typing import Any

from hw2core.engine import journal
from hw2core.engine.augmentation import color_jitter
from hw2core.engine.batches import ImageSet, Shuffle, resident
from hw2core.engine.device import Device, choose_device
from hw2core.engine.images import open_split
from hw2core.engine.loop import Trained
from hw2core.engine.system import Batch
from hw2core.evaluation.classification import accuracy, infomax, log_likelihood, outputs, snd
from hw2core.files import sha256_of
from hw2core.layout import Layout
from hw2core.settings import Params
from hw2core.settings.registry import ADAPTER_SETTINGS
from hw2core.stages import job, predictors
from hw2core.stages.job import Job, Names
from hw2core.systems.predictor import Predictor

UNLABELED = 1000  # target training images that the label-free criteria are computed on


def train_classifier(params: Params, layout: Layout, domain: str, seed: int) -> None:
    predictors.check_domain(params, domain)
    device = choose_device(params.engine)
    images, val = training_images(params, layout, domain, device)
    test = resident(open_split(layout.ready(domain), "test"), device)

    def evaluate(system: Predictor, *_: Any) -> dict[str, float]:
        val_logits = outputs(system.logits, val)
        return {
            "val_log_likelihood": log_likelihood(val_logits, val.labels),
            "val_accuracy": accuracy(val_logits, val.labels),
            "test_accuracy": accuracy(outputs(system.logits, test), test.labels),
        }

    selected_by = f"log-likelihood of {len(val)} validation images"
    training = Job(
        stage="train_classifier",
        item=domain,
        seed=seed,
        settings=params.classifier,
        datasets=(domain,),
        build=lambda: predictors.build(params, "classifier"),
        batches=lambda names: labeled_batches(params, domain, images, params.classifier.batch, names),
        evaluate=evaluate,
        selects="val_log_likelihood",
        summary=lambda trained, _: summarize(trained, selected_by, len(test), chosen="val_log_likelihood"),
        facts=data_facts(params, domain),
    )
    job.run(training, params.engine, layout, device)


def train_adapter(params: Params, layout: Layout, method: str, pair_name: str, seed: int) -> None:
    predictors.check_method(params, method)
    pair = predictors.get_pair(params, pair_name)
    settings = getattr(params, method)
    device = choose_device(params.engine)
    source, source_val = training_images(params, layout, pair.source, device)
    # No method sees the target's training labels: a batch leaves them out.
    target = resident(open_split(layout.ready(pair.target), "train"), device)
    unlabeled = target.first(UNLABELED)
    test = resident(open_split(layout.ready(pair.target), "test"), device)
    facts = data_facts(params, pair.source)
    start = layout.model("train_classifier", pair.source, seed)
    starts_from_source = ADAPTER_SETTINGS[method].starts_from_source
    if starts_from_source:
        facts["start"] = sha256_of(start)

    def build() -> Predictor:
        system = predictors.build(params, method)
        if starts_from_source:
            system.start(journal.read_model(start, "last"))
        return system

    def batches(names: Names) -> Callable[[int], Batch]:
        sources = labeled_batches(params, pair.source, source, settings.batch, (*names, "source"))
        targets = Shuffle(target, settings.batch, *names, "target")
        return lambda k: (*sources(k), targets.at(k)[0])

    def evaluate(system: Predictor, *_: Any) -> dict[str, float]:
        unlabeled_logits = outputs(system.logits, unlabeled)
        return {
            "infomax": infomax(unlabeled_logits),
            "snd": snd(unlabeled_logits),
            "source_val_accuracy": accuracy(outputs(system.logits, source_val), source_val.labels),
            "test_accuracy": accuracy(outputs(system.logits, test), test.labels),
        }

    selected_by = f"infomax over {len(unlabeled)} unlabeled target training images"
    criteria = {"chosen": "infomax", "snd": "snd", "oracle": "test_accuracy"}
    training = Job(
        stage=f"train_{method}",
        item=pair_name,
        seed=seed,
        settings=settings,
        datasets=(pair.source, pair.target),
        build=build,
        batches=batches,
        evaluate=evaluate,
        selects="infomax",
        summary=lambda trained, _: summarize(trained, selected_by, len(test), **criteria),
        facts=facts,
    )
    job.run(training, params.engine, layout, device)


def data_facts(params: Params, domain: str) -> dict[str, Any]:
    """What, beside the settings of the training, decides the result of training on a labeled domain."""
    return {
        "backbone": params.backbone,
        "val_fraction": params.data.val_fraction,
        "color_jitter": domain in params.data.color_jitter,
    }


def training_images(params: Params, layout: Layout, domain: str, device: Device) -> tuple[ImageSet, ImageSet]:
    """A domain's training set without its validation images, and these."""
    images = resident(open_split(layout.ready(domain), "train"), device)
    return images.divide(max(1, round(params.data.val_fraction * len(images))))


def labeled_batches(
    params: Params, domain: str, images: ImageSet, batch: int, names: Names
) -> Callable[[int], Batch]:
    """Images (n, 3, h, w) and labels (n,) of a domain, in random colors if params say so."""
    order = Shuffle(images, batch, *names)
    if domain not in params.data.color_jitter:
        return order.at

    def jittered(k: int) -> Batch:
        pictures, labels = order.at(k)
        return color_jitter(pictures, *names, "jitter", k), labels

    return jittered


def summarize(trained: Trained, selected_by: str, test_images: int, **criteria: str) -> dict[str, Any]:
    """Test accuracy at the last step, and at the step where each criterion is highest (the first, if several)."""
    history = trained.history
    return {
        "accuracy": {
            "last": history[-1]["test_accuracy"],
            **{
                name: max(history, key=lambda row, column=column: row[column])["test_accuracy"]  # type: ignore[misc]
                for name, column in criteria.items()
            },
        },
        "test_images": test_images,
        "selected_by": selected_by,
        "chosen_step": trained.chosen_step,
    }
