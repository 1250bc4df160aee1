"""Stages evaluate*: trained classifiers judged on test sets, from the weights that were saved."""

import csv
import io
from pathlib import Path
from typing import Any

from torch import Tensor

from hw2core.data.batches import resident
from hw2core.data.store import open_split
from hw2core.engine import journal
from hw2core.engine.device import choose_device
from hw2core.files import sha256_of, write_whole
from hw2core.judges.classification import accuracy, outputs, per_class, spread
from hw2core.layout import Layout
from hw2core.params import Params
from hw2core.report.results import read_metrics
from hw2core.stages.names import check_domain, check_method, get_pair
from hw2core.stages.predictors import load_adapter, load_classifier

WHICH = ("last", "chosen")


def evaluate_classifier(params: Params, layout: Layout, domain: str) -> None:
    check_domain(params, domain)
    device = choose_device(params.engine)
    systems = {
        (seed, which): load_classifier(params, layout, device, domain, f"seed{seed}.{which}")
        for seed in params.seeds
        for which in WHICH
    }
    on = {}
    for name in params.data.domains:
        test = resident(open_split(layout.ready(name), "test"), device)
        logits = {key: outputs(system.logits, test) for key, system in systems.items()}
        on[name] = {"accuracy": over_seeds(logits, test.labels), "test_images": len(test)}
    journal.write_metrics(
        layout.stage("evaluate_classifier", domain),
        {
            "on": on,
            "seeds": params.seeds,
            "device": device.about,
            "training": about_training(layout, "train_classifier", domain),
        },
    )


def evaluate(params: Params, layout: Layout, method: str, pair_name: str) -> None:
    check_method(method)
    pair = get_pair(params, pair_name)
    device = choose_device(params.engine)
    test = resident(open_split(layout.ready(pair.target), "test"), device)
    logits = {
        (seed, which): outputs(
            load_adapter(params, layout, device, method, pair_name, f"seed{seed}.{which}").logits, test
        )
        for seed in params.seeds
        for which in WHICH
    }
    folder = layout.stage("evaluate", f"{method}-{pair_name}")
    write_predictions(folder, {seed: logits[seed, "last"].argmax(1) for seed in params.seeds}, test.labels)
    each = [per_class(logits[seed, "last"], test.labels) for seed in params.seeds]
    journal.write_metrics(
        folder,
        {
            "accuracy": over_seeds(logits, test.labels),
            "per_digit": {digit: spread([one[digit] for one in each])["mean"] for digit in each[0]},
            "test_images": len(test),
            "seeds": params.seeds,
            "device": device.about,
            "training": about_training(layout, f"train_{method}", pair_name),
        },
    )


def about_training(layout: Layout, stage: str, item: str) -> dict[str, Any]:
    """What the report says of the training that was judged, and which history is its own.

    The report depends on the evaluations, not on the trainings' folders: those hold the weights, which a fresh
    clone lacks, and DVC takes a folder that lacks a file for changed.
    """
    folder = layout.stage(stage, item)
    metrics = read_metrics(layout, stage, item, "accuracy", "chosen_by", "device")
    return {
        "accuracy": metrics["accuracy"],
        "chosen_by": metrics["chosen_by"],
        "device": metrics["device"],
        "history": sha256_of(folder / "history.csv"),
    }


def over_seeds(logits: dict[tuple[int, str], Tensor], labels: Tensor) -> dict[str, object]:
    """Accuracy at the last and at the chosen step, over the seeds."""
    return {
        which: spread([accuracy(one, labels) for (_, kind), one in logits.items() if kind == which])
        for which in WHICH
    }


def write_predictions(folder: Path, predictions: dict[int, Tensor], labels: Tensor) -> None:
    """Every prediction of every seed at the last step, beside the label: dvc plots draws the confusions."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("seed", "image", "label", "predicted"))
    for seed, predicted in predictions.items():
        for image, (label, guess) in enumerate(zip(labels.tolist(), predicted.tolist(), strict=True)):
            writer.writerow((seed, image, label, guess))
    write_whole(folder / "predictions.csv", text.getvalue().encode())
