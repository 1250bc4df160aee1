"""Stages train_*: a system trained once for each seed, watched, and saved with its metrics."""

from collections.abc import Callable
from typing import Any

from torch import Tensor

from hw2core.data.augment import jitter
from hw2core.data.batches import ImageSet, Shuffle, resident
from hw2core.data.store import open_split, read_about
from hw2core.engine import journal, resume
from hw2core.engine.device import Device, choose_device
from hw2core.engine.loop import Trained, Watch, train
from hw2core.engine.randomness import seed_torch
from hw2core.files import sha256_of
from hw2core.judges.classification import accuracy, density, information, log_likelihood, outputs, spread
from hw2core.layout import Layout
from hw2core.params import Params, Training
from hw2core.stages.names import check_domain, get_pair
from hw2core.stages.predictors import (
    Predictor,
    StartsFromSource,
    build_adapter,
    build_classifier,
    source_model,
    start_from_source,
)

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

    train_seeds(
        "train_classifier",
        domain,
        params,
        layout,
        device,
        settings=params.classifier,
        build=lambda seed: build_classifier(params),
        batches=batches,
        look=look,
        chooses="held_out_log_likelihood",
        criterion=f"log-likelihood of {len(held_out)} held-out training images",
        compared={},
        test_images=len(test),
        reads=[domain],
        facts={"arch": params.dann.arch},
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

    train_seeds(
        f"train_{method}",
        pair_name,
        params,
        layout,
        device,
        settings=settings,
        build=build,
        batches=batches,
        look=look,
        chooses="information",
        criterion=f"information maximisation over {len(unlabelled)} unlabelled target training images",
        compared={"density": "density", "oracle": "test_accuracy"},
        test_images=len(test),
        reads=[pair.source, pair.target],
        facts=facts,
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


def train_seeds(
    stage: str,
    item: str,
    params: Params,
    layout: Layout,
    device: Device,
    *,
    settings: Training,
    build: Callable[[int], Predictor],
    batches: Callable[..., Callable[[int], Any]],
    look: Callable[[Predictor], dict[str, float]],
    chooses: str,
    criterion: str,
    compared: dict[str, str],
    test_images: int,
    reads: list[str],
    facts: dict[str, Any],
) -> None:
    """Train one system for each seed and write the stage's model, history and metrics.

    `chooses` names the noted value that chooses a step; `compared` others that the metrics say the accuracy of
    as well, whose weights are not kept.

    A seed that is done keeps its checkpoint until all are, so that a killed stage repeats nothing of it.
    """
    key = resume.run_key(
        stage=stage,
        item=item,
        device=device.about,
        evaluate_every=params.engine.evaluate_every,
        holdout=params.data.holdout,
        jitter=[name for name in params.data.jitter if name in reads],
        settings=settings.model_dump(),
        data=[read_about(layout.ready(name))["sha256"] for name in reads],
        **facts,
    )
    checkpoints = layout.runs / stage / item / key
    runs: dict[int, Trained] = {}
    for seed in params.seeds:
        names = (stage, item, f"seed {seed}")
        seed_torch(*names, "initial weights")
        system = build(seed)
        runs[seed] = train(
            system,
            batches(*names, "order"),
            settings,
            Watch(params.engine.evaluate_every, lambda system=system: look(system), chooses),  # type: ignore[misc]
            device,
            resume.Checkpoint(checkpoints / f"seed{seed}.safetensors"),
            params.engine.checkpoint_every,
            names,
        )
    folder = layout.stage(stage, item)
    journal.write_model(
        folder,
        {
            f"seed{seed}.{which}": weights
            for seed, run in runs.items()
            for which, weights in (("last", run.last), ("chosen", run.chosen))
        },
        {"stage": stage, "item": item, "seeds": params.seeds, **facts, "settings": settings.model_dump()},
    )
    journal.write_history(
        folder, [{"seed": seed, **row} for seed, run in runs.items() for row in run.history]
    )
    journal.write_metrics(
        folder,
        {
            "accuracy": {
                "last": spread([run.history[-1]["test_accuracy"] for run in runs.values()]),
                **{
                    name: spread([highest(run.history, value)["test_accuracy"] for run in runs.values()])
                    for name, value in {"chosen": chooses, **compared}.items()
                },
            },
            "test_images": test_images,
            "steps": settings.steps,
            "chosen_by": criterion,
            "chosen_steps": [run.chosen_step for run in runs.values()],
            "seeds": params.seeds,
            "device": device.about,
        },
    )
    resume.forget(checkpoints)


def highest(history: list[journal.Row], value: str) -> journal.Row:
    """The line of the history at which a noted value is highest, the first if there are several."""
    return max(history, key=lambda row: row[value])
