"""Stages tsne and tsne_classifier: a network's features of both test sets, in two dimensions."""

import numpy as np
import pandas as pd

from hw2core.engine import journal
from hw2core.engine.batches import resident
from hw2core.engine.device import choose_device
from hw2core.engine.images import open_split
from hw2core.evaluation.classification import outputs
from hw2core.evaluation.tsne import INITIALIZATION, project, silhouette
from hw2core.files import write_whole
from hw2core.layout import Layout
from hw2core.settings import Params
from hw2core.stages import predictors


def tsne(params: Params, layout: Layout, method: str, pair_name: str) -> None:
    """Project the features of the first seed's network at its last step. `classifier` is the source's, not adapted."""
    if method != "classifier":
        predictors.check_method(params, method)
    pair = predictors.get_pair(params, pair_name)
    device = choose_device(params.engine)
    seed = params.seeds[0]
    item = pair.source if method == "classifier" else pair_name
    system = predictors.load(params, layout, device, method, item, seed)
    features, rows = [], []
    for domain in (pair.source, pair.target):
        test = resident(open_split(layout.ready(domain), "test"), device).first(params.tsne.images_per_domain)
        features.append(outputs(system.features, test).cpu().numpy())
        predicted = outputs(system.logits, test).argmax(1)
        rows += [
            {"domain": domain, "digit": digit, "predicted": guess}
            for digit, guess in zip(test.labels.tolist(), predicted.tolist(), strict=True)
        ]
    points = np.concatenate(features)
    coordinates, divergence = project(points, params.tsne)
    table = pd.DataFrame(rows)
    table[["x", "y"]] = coordinates
    folder = layout.stage("tsne", f"{method}-{pair_name}")
    write_whole(folder / "coordinates.csv", table.to_csv(index=False, float_format="%.4f").encode())
    journal.write_metrics(
        folder,
        {
            "kl_divergence": divergence,
            "silhouette": {by: silhouette(points, table[by].to_numpy()) for by in ("domain", "digit")},
            "perplexity": params.tsne.perplexity,
            "initialization": INITIALIZATION,
            "points": len(points),
            "seed": seed,
            "device": device.about,
        },
    )
