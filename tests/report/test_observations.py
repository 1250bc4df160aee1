"""Observations carry the numbers of the tables that they are made of."""

import pandas as pd

from hw2core.report import observations
from hw2core.report.results import Row


def row(pair: str, low: float, high: float, **methods: tuple[float, float | None]) -> Row:
    found: Row = {"pair": pair, "source only": low, "target only": high, "separated": []}
    for name, (mean, std) in methods.items():
        found |= {name: mean, f"{name} std": std}
    return found


ROWS = [
    row("a-b", 40, 90, dann=(60.0, 1.0), adda=(38.0, 4.0)) | {"separated": ["dann"]},
    row("b-a", 50, 80, dann=(65.0, 2.0), adda=(55.0, 0.5)),
]


def test_the_largest_gain_and_the_lowest_result_are_named() -> None:
    first, second = observations.of_accuracies(ROWS, ["dann", "adda"])[:2]
    assert first == "The largest gain: DANN on a \u2192 b, from 40.0 to 60.0 %, +20.0 points."
    assert second == (
        "1 of 4 adaptations are below source only; the lowest is ADDA on a \u2192 b, -2.0 points "
        "(within what other seeds could cause)."
    )


def test_the_bound_and_the_seeds_are_named() -> None:
    *_, bound, spread = observations.of_accuracies(ROWS, ["dann", "adda"])
    assert bound == (
        "The best method of each pair against target only, in points: a \u2192 b -30.0 (DANN); b \u2192 a -15.0 (DANN)."
    )
    assert spread == "Seeds differ most for ADDA on a \u2192 b: ± 4.0 points."


def test_what_is_not_measured_is_not_mentioned() -> None:
    nothing = {"pair": "a-b", "source only": None, "target only": None, "dann": None, "dann std": None}
    assert observations.of_accuracies([nothing], ["dann"]) == []
    one_seed = row("a-b", 40, 90, dann=(60.0, None))
    assert not any("Seeds" in found for found in observations.of_accuracies([one_seed], ["dann"]))
    assert observations.of_silhouettes([{"network": "source only", "domain": None, "digit": None}]) == []
    assert observations.of_gans({"sngan": [{"seed": 0}]}) == []
    assert observations.of_confusions({}) == []


def test_the_most_frequent_confusion_is_of_the_method_with_the_fewest_errors() -> None:
    columns = ["digit", "predicted", "count", "rate"]
    good = pd.DataFrame([(1, 1, 9, 90.0), (1, 7, 1, 10.0), (2, 2, 10, 100.0)], columns=columns)
    bad = pd.DataFrame([(1, 4, 10, 100.0), (2, 2, 10, 100.0)], columns=columns)
    assert observations.of_confusions({("a-b", "dann"): bad, ("a-b", "adda"): good}) == [
        "a \u2192 b: ADDA most often reads 1 as 7, in 10 % of the images of that digit."
    ]


def test_silhouettes_are_means_over_pairs() -> None:
    rows = [
        {"network": name, "domain": domain, "digit": digit}
        for name, domain, digit in (
            *(("source only", 0.4, 0.1), ("source only", 0.2, 0.3)),
            *(("DANN", 0.2, 0.2), ("DANN", 0.0, 0.2), ("ADDA", 0.1, 0.5), ("ADDA", 0.3, 0.5)),
        )
    ]
    assert observations.of_silhouettes(rows) == [
        "Silhouette by domain, mean over pairs: 0.300 of source only; lowest with DANN, 0.100.",
        "Silhouette by digit, mean over pairs: 0.200 of source only; highest with ADDA, 0.500.",
    ]


def test_collapsed_gans_are_counted() -> None:
    trainings = {
        "dcgan4": [{"final": {"diversity": 0.9}, "seed": 0, "collapsed": False}],
        "sngan": [{"final": {"diversity": 0.05}, "seed": 3, "collapsed": True}],
    }
    (sentence,) = observations.of_gans(trainings)
    assert sentence.startswith("1 of 2 GAN trainings collapsed")
    assert sentence.endswith("0.05 (SNGAN, seed 3).")


def test_guidance_and_steps_are_of_the_settings_that_otherwise_equal_the_chosen_ones() -> None:
    columns = ["sampler", "sampling_steps", "guidance_scale", "nfe", "digit_accuracy"]
    table = pd.DataFrame(
        [
            *(("ddim", 5, 0.0, 10, 20.0), ("ddim", 5, 2.0, 10, 95.5), ("ddim", 25, 2.0, 50, 96.0)),
            *(("ddpm", 25, 2.0, 50, 90.0), ("ddpm", 5, 4.0, 10, 99.0)),
        ],
        columns=columns,
    )
    chosen = {"sampler": "ddim", "sampling_steps": 5, "guidance_scale": 2.0}
    guidance, steps = observations.of_sweep(table, chosen)
    assert guidance == "Guidance: digit accuracy is 20.0 % at scale 0 and highest, 95.5 %, at scale 2."
    assert steps == (
        "Steps: the best digit accuracy of all samplers is 96.0 %; ddim with 10 function evaluations per image reaches "
        "95.5 %, the fewest within 1 point of it."
    )
