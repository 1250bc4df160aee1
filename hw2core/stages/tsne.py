"""Stage tsne: a map of an adapted classifier's features, where near points have like features."""

import numpy as np
import pandas as pd

from hw2core.data.batches import resident
from hw2core.data.store import open_split
from hw2core.engine import journal
from hw2core.engine.device import choose_device
from hw2core.files import write_whole
from hw2core.judges.classification import outputs
from hw2core.layout import Layout
from hw2core.params import Params
from hw2core.report.figures import save, scatter
from hw2core.report.maps import project
from hw2core.stages.names import check_method, get_pair
from hw2core.stages.predictors import load_adapter


def tsne(params: Params, layout: Layout, method: str, pair_name: str) -> None:
    """Map the features of both test sets by the first seed's network at its last step."""
    check_method(method)
    pair = get_pair(params, pair_name)
    device = choose_device(params.engine)
    seed = params.seeds[0]
    system = load_adapter(params, layout, device, method, pair_name, f"seed{seed}.last")
    features, rows = [], []
    for domain in (pair.source, pair.target):
        test = resident(open_split(layout.ready(domain), "test"), device).first(params.tsne.images)
        features.append(outputs(system.features, test).cpu().numpy())
        rows += [{"domain": domain, "digit": digit} for digit in test.labels.tolist()]
    points = np.concatenate(features)
    found, divergence = project(points, params.tsne)
    places = pd.DataFrame(rows)
    places[["x", "y"]] = found

    folder = layout.stage("tsne", f"{method}-{pair_name}")
    write_whole(folder / "coordinates.csv", places.to_csv(index=False, float_format="%.4f").encode())
    save(scatter(places, "digit", f"{pair.source} and {pair.target} by digit"), folder / "by_digit.png")
    save(scatter(places, "domain", f"{pair.source} and {pair.target} by domain"), folder / "by_domain.png")
    journal.write_metrics(
        folder,
        {
            "kl_divergence": divergence,
            "points": len(points),
            "network": f"seed {seed}, last step",
            "device": device.about,
        },
    )
