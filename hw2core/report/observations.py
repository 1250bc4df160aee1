"""What the tables and curves say, as sentences. Each carries its number, computed from the metrics of the stages."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd

from hw2core.report.names import SOURCE_ONLY, TARGET_ONLY, arrow
from hw2core.report.results import Row
from hw2core.settings.registry import title

NEAR = 1
"""Points of digit accuracy that sampling with fewer evaluations may lose and still be called as good."""


# --- domain adaptation ----------------------------------------------------------------------------------------


def of_accuracies(rows: Sequence[Row], methods: Sequence[str]) -> list[str]:
    """The largest gain, the distance to target only, and the largest spread over seeds."""
    measured = [(row, method) for row in rows for method in methods if row[method] is not None]
    return [*gains(measured), *distances(measured), *spreads(measured)]


def gains(measured: Sequence[tuple[Row, str]]) -> list[str]:
    found = [
        (row[method] - row[SOURCE_ONLY], row, method)
        for row, method in measured
        if row[SOURCE_ONLY] is not None
    ]
    if not found:
        return []
    gain, row, method = max(found, key=lambda each: each[0])
    sentences = [
        f"The largest gain: {title(method)} on {arrow(row['pair'])}, from {row[SOURCE_ONLY]:.1f} to {row[method]:.1f} %, "
        f"{gain:+.1f} points{not_separated(row, method)}."
    ]
    below = [(gain, row, method) for gain, row, method in found if gain < 0]
    if below:
        gain, row, method = min(below, key=lambda each: each[0])
        sentences.append(
            f"{len(below)} of {len(found)} adaptations are below source only; the lowest is {title(method)} on "
            f"{arrow(row['pair'])}, {gain:+.1f} points{not_separated(row, method)}."
        )
    return sentences


def not_separated(row: Row, method: str) -> str:
    return "" if method in row["separated"] else " (within what other seeds could cause)"


def distances(measured: Sequence[tuple[Row, str]]) -> list[str]:
    """How far the best method of each pair stays below target only."""
    best: dict[str, tuple[float, str]] = {}
    for row, method in measured:
        if row[TARGET_ONLY] is not None:
            distance = row[TARGET_ONLY] - row[method]
            best[row["pair"]] = min(best.get(row["pair"], (distance, method)), (distance, method))
    if not best:
        return []
    parts = [f"{arrow(pair)} {-distance:+.1f} ({title(method)})" for pair, (distance, method) in best.items()]
    return [f"The best method of each pair against target only, in points: {'; '.join(parts)}."]


def spreads(measured: Sequence[tuple[Row, str]]) -> list[str]:
    found = [
        (row[f"{method} std"], row, method) for row, method in measured if row[f"{method} std"] is not None
    ]
    if not found:
        return []
    std, row, method = max(found, key=lambda each: each[0])
    return [f"Seeds differ most for {title(method)} on {arrow(row['pair'])}: ± {std:.1f} points."]


def of_confusions(tables: Mapping[tuple[str, str], pd.DataFrame]) -> list[str]:
    """The most frequent confusion of each pair, by its method of the fewest errors. Keys are pairs and methods."""
    sentences = []
    for pair in dict.fromkeys(pair for pair, _ in tables):
        wrong = {
            method: table[table["digit"] != table["predicted"]]
            for (of, method), table in tables.items()
            if of == pair
        }
        method = min(wrong, key=lambda name: wrong[name]["count"].sum())
        if len(wrong[method]):
            worst = wrong[method].sort_values("rate", ascending=False).iloc[0]
            sentences.append(
                f"{arrow(pair)}: {title(method)} most often reads {worst['digit']:.0f} as {worst['predicted']:.0f}, in "
                f"{worst['rate']:.0f} % of the images of that digit."
            )
    return sentences


def of_silhouettes(rows: Sequence[Row]) -> list[str]:
    """What adaptation does to the features: the mean over pairs, of source only and of each method."""
    table = pd.DataFrame(rows, columns=["network", "domain", "digit"]).dropna()
    means = table.groupby("network", sort=False)[["domain", "digit"]].mean()
    if SOURCE_ONLY not in means.index or len(means) < 2:
        return []
    base, adapted = means.loc[SOURCE_ONLY], means.drop(SOURCE_ONLY)
    sentences = []
    for by, best in (("domain", str(adapted["domain"].idxmin())), ("digit", str(adapted["digit"].idxmax()))):
        extreme = "lowest" if by == "domain" else "highest"
        sentences.append(
            f"Silhouette by {by}, mean over pairs: {base[by]:.3f} of source only; {extreme} with {best}, {adapted[by][best]:.3f}."
        )
    return sentences


# --- generators -----------------------------------------------------------------------------------------------


def of_gans(trainings: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[str]:
    """Whether GANs collapsed: the lowest diversity at the last step of any seed. Keys are the GANs' names."""
    found = [
        (diversity, name, metrics["seed"])
        for name, seeds in trainings.items()
        for metrics in seeds
        if (diversity := metrics.get("final", {}).get("diversity")) is not None
    ]
    if not found:
        return []
    diversity, name, seed = min(found)
    count = sum(bool(metrics.get("collapsed")) for seeds in trainings.values() for metrics in seeds)
    total = sum(map(len, trainings.values()))
    return [
        f"{count or 'None'} of {total} GAN trainings collapsed: the lowest diversity at the last step, relative to real "
        f"images, is {diversity:.2f} ({title(name)}, seed {seed})."
    ]


def of_sweep(table: pd.DataFrame, chosen: Mapping[str, Any]) -> list[str]:
    """What guidance and more function evaluations bring the sampler of the evaluation."""
    same = table[(table["sampler"] == chosen["sampler"])]
    scales = same[same["sampling_steps"] == chosen["sampling_steps"]].drop_duplicates("guidance_scale")
    sentences = []
    if len(scales) > 1:
        first, best = (
            scales.sort_values("guidance_scale").iloc[0],
            scales.sort_values("digit_accuracy", ascending=False).iloc[0],
        )
        sentences.append(
            f"Guidance: digit accuracy is {first['digit_accuracy']:.1f} % at scale {first['guidance_scale']:g} and highest, "
            f"{best['digit_accuracy']:.1f} %, at scale {best['guidance_scale']:g}."
        )
    steps = table[table["guidance_scale"] == chosen["guidance_scale"]]
    if len(steps):
        best = steps.sort_values("digit_accuracy", ascending=False).iloc[0]
        near = steps[steps["digit_accuracy"] >= best["digit_accuracy"] - NEAR].sort_values("nfe").iloc[0]
        sentences.append(
            f"Steps: the best digit accuracy of all samplers is {best['digit_accuracy']:.1f} %; {near['sampler']} with "
            f"{near['nfe']:.0f} function evaluations per image reaches {near['digit_accuracy']:.1f} %, the fewest within "
            f"{NEAR} point of it."
        )
    return sentences
