"""The runs that params select: the trainings, and the evaluations that follow them."""

from collections.abc import Iterable
from typing import NamedTuple

from hw2core.settings.checks import uses_faces
from hw2core.settings.models import Params
from hw2core.settings.registry import ADAPTERS, AUTOENCODERS, GANS

STAGES = frozenset(
    (
        *(f"train_{name}" for name in ("classifier", *ADAPTERS, "gan", "autoencoder", "acgan", "ddpm")),
        *("train_face_features", "evaluate_classifier", "evaluate", "tsne", "evaluate_real"),
        *(f"evaluate_{name}" for name in ("gan", "autoencoder", "acgan", "ddpm")),
        "sweep_ddpm",
    )
)
"""All stages that write metrics, whether or not params select a run of them."""


class Run(NamedTuple):
    """A run that writes stages/<stage>/<item>/[seed<seed>/]metrics.json."""

    stage: str
    item: str
    seed: int | None
    """None if the run has no seed of its own."""


def trained_runs(params: Params) -> tuple[Run, ...]:
    """Return all trainings, in the order of dvc.yaml."""
    seeds, of_generators = params.seeds, params.generation.seeds
    return (
        *repeated("train_classifier", params.data.domains, seeds),
        *(run for name in params.adapters for run in repeated(f"train_{name}", params.pairs, seeds)),
        *repeated("train_gan", params.gans, of_generators.gans),
        *repeated("train_autoencoder", params.autoencoders, of_generators.autoencoders),
        *repeated("train_acgan", params.conditional.acgan, of_generators.conditional),
        *repeated("train_ddpm", params.conditional.ddpm, of_generators.conditional),
        *(Run(f"train_{name}", "faces", 0) for name in params.extractors.faces),
    )


def evaluated_runs(params: Params) -> tuple[Run, ...]:
    """Return all evaluations, in the order of dvc.yaml."""
    seeds, of_generators = params.seeds, params.generation.seeds
    adapted = [f"{name}-{pair}" for name in params.adapters for pair in params.pairs]
    return (
        *repeated("evaluate_classifier", params.data.domains, seeds),
        *repeated("evaluate", adapted, seeds),
        *(Run("tsne", f"classifier-{pair}", None) for pair in params.pairs if params.adapters),
        *(Run("tsne", item, None) for item in adapted),
        *(Run("evaluate_real", "faces", None) for _ in params.extractors.faces[:1]),
        *repeated("evaluate_gan", params.gans, of_generators.gans),
        *repeated("evaluate_autoencoder", params.autoencoders, of_generators.autoencoders),
        *repeated("evaluate_acgan", params.conditional.acgan, of_generators.conditional),
        *repeated("evaluate_ddpm", params.conditional.ddpm, of_generators.conditional),
        *(Run("sweep_ddpm", item, None) for item in params.conditional.ddpm),
    )


def datasets_of(params: Params) -> list[str]:
    """Return the datasets that the pipeline reads: the domains, and the faces if a system uses them."""
    faces = [params.data.faces] if uses_faces(params.model_dump()) else []
    return [*params.data.domains, *faces]


def generator_seeds(params: Params, name: str) -> list[int]:
    """Return the seeds of a generator: those of the list in params that names it."""
    seeds = params.generation.seeds
    if name in GANS:
        return seeds.gans
    return seeds.autoencoders if name in AUTOENCODERS else seeds.conditional


def repeated(stage: str, items: Iterable[str], seeds: list[int]) -> list[Run]:
    """Return a run of the stage for each item and seed."""
    return [Run(stage, item, seed) for item in items for seed in seeds]
