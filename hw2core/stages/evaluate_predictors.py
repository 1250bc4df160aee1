"""Stages evaluate_classifier and evaluate: trained classifiers on test sets, from the weights that were saved."""

import csv
import io
from pathlib import Path

from torch import Tensor

from hw2core.engine import journal
from hw2core.engine.batches import resident
from hw2core.engine.device import choose_device
from hw2core.engine.images import open_split
from hw2core.evaluation.classification import accuracy, outputs, per_class
from hw2core.files import write_whole
from hw2core.layout import Layout
from hw2core.settings import Params
from hw2core.stages import predictors

WHICH = ("last", "chosen")


def evaluate_classifier(params: Params, layout: Layout, domain: str, seed: int) -> None:
    predictors.check_domain(params, domain)
    device = choose_device(params.engine)
    systems = {
        which: predictors.load(params, layout, device, "classifier", domain, seed, which) for which in WHICH
    }
    on = {}
    for name in params.data.domains:
        test = resident(open_split(layout.ready(name), "test"), device)
        on[name] = {
            "accuracy": {
                which: accuracy(outputs(system.logits, test), test.labels)
                for which, system in systems.items()
            },
            "test_images": len(test),
        }
    journal.write_metrics(
        layout.stage("evaluate_classifier", domain, seed), {"on": on, "seed": seed, "device": device.about}
    )


def evaluate(params: Params, layout: Layout, method: str, pair_name: str, seed: int) -> None:
    predictors.check_method(params, method)
    pair = predictors.get_pair(params, pair_name)
    device = choose_device(params.engine)
    test = resident(open_split(layout.ready(pair.target), "test"), device)
    logits = {
        which: outputs(predictors.load(params, layout, device, method, pair_name, seed, which).logits, test)
        for which in WHICH
    }
    folder = layout.stage("evaluate", f"{method}-{pair_name}", seed)
    write_predictions(folder, logits["last"].argmax(1), test.labels)
    journal.write_metrics(
        folder,
        {
            "accuracy": {which: accuracy(found, test.labels) for which, found in logits.items()},
            "per_digit": per_class(logits["last"], test.labels),
            "test_images": len(test),
            "seed": seed,
            "device": device.about,
        },
    )


def write_predictions(folder: Path, predictions: Tensor, labels: Tensor) -> None:
    """Every prediction beside its label: `dvc plots` draws the confusion matrix from it."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("image", "label", "predicted"))
    for image, (label, predicted) in enumerate(zip(labels.tolist(), predictions.tolist(), strict=True)):
        writer.writerow((image, label, predicted))
    write_whole(folder / "predictions.csv", text.getvalue().encode())
