"""Stage tsne: an adapted classifier's features of both test sets, in two dimensions."""

import numpy as np
import pandas as pd

from hw2core.engine import journal
from hw2core.engine.batches import resident
from hw2core.engine.device import choose_device
from hw2core.engine.images import open_split
from hw2core.evaluation.classification import outputs
from hw2core.evaluation.tsne import project
from hw2core.files import write_whole
from hw2core.layout import Layout
from hw2core.settings import Params
from hw2core.stages import predictors


def tsne(params: Params, layout: Layout, method: str, pair_name: str) -> None:
    """Project the features of the first seed's network at its last step."""
    predictors.check_method(params, method)
    pair = predictors.get_pair(params, pair_name)
    device = choose_device(params.engine)
    seed = params.seeds[0]
    system = predictors.load(params, layout, device, method, pair_name, seed)
    features, rows = [], []
    for domain in (pair.source, pair.target):
        test = resident(open_split(layout.ready(domain), "test"), device).first(params.tsne.images_per_domain)
        features.append(outputs(system.features, test).cpu().numpy())
        rows += [{"domain": domain, "digit": digit} for digit in test.labels.tolist()]
    points = np.concatenate(features)
    coordinates, divergence = project(points, params.tsne)
    table = pd.DataFrame(rows)
    table[["x", "y"]] = coordinates
    folder = layout.stage("tsne", f"{method}-{pair_name}")
    write_whole(folder / "coordinates.csv", table.to_csv(index=False, float_format="%.4f").encode())
    journal.write_metrics(
        folder,
        {"kl_divergence": divergence, "points": len(points), "seed": seed, "device": device.about},
    )
