"""The runs that params select."""

from conftest import Raw

from hw2core.settings.runs import STAGES, Run, evaluated_runs, generator_seeds, trained_runs
from hw2core.settings.validation import validate


def test_systems_are_run_for_each_item_and_seed_that_params_name(raw: Raw) -> None:
    raw |= {"seeds": [0, 1], "adapters": ["dann"], "gans": ["sngan"]}
    raw["generation"]["seeds"]["gans"] = [5]
    params = validate(raw, "params.yaml")
    trained = trained_runs(params)
    assert [run for run in trained if run.stage == "train_dann"] == [
        Run("train_dann", pair, seed) for pair in raw["pairs"] for seed in (0, 1)
    ]
    assert [run for run in trained if run.stage == "train_gan"] == [Run("train_gan", "sngan", 5)]
    evaluated = evaluated_runs(params)
    assert [run for run in evaluated if run.stage == "evaluate"] == [
        Run("evaluate", f"dann-{pair}", seed) for pair in raw["pairs"] for seed in (0, 1)
    ]
    assert [run for run in evaluated if run.stage == "tsne"] == [
        Run("tsne", f"{name}-{pair}", None) for name in ("classifier", "dann") for pair in raw["pairs"]
    ]


def test_each_kind_of_generator_has_seeds_of_its_own(raw: Raw) -> None:
    raw["generation"]["seeds"] = {"gans": [0, 1, 2], "autoencoders": [3, 4], "conditional": [5]}
    params = validate(raw, "params.yaml")
    expected = {"gan": {0, 1, 2}, "autoencoder": {3, 4}, "acgan": {5}, "ddpm": {5}}
    for step, runs in (("train", trained_runs(params)), ("evaluate", evaluated_runs(params))):
        for kind, seeds in expected.items():
            assert {run.seed for run in runs if run.stage == f"{step}_{kind}"} == seeds
    found = {name: generator_seeds(params, name) for name in ("sngan", "r3gan", "vae", "acgan/faces", "ddpm")}
    assert found == {"sngan": [0, 1, 2], "r3gan": [0, 1, 2], "vae": [3, 4], "acgan/faces": [5], "ddpm": [5]}


def test_every_training_but_the_extractors_is_evaluated_with_its_seed(raw: Raw) -> None:
    """And all stages occur if params select something of each."""
    params = validate(raw, "params.yaml")
    trained, evaluated = trained_runs(params), evaluated_runs(params)
    assert {run.stage for run in (*trained, *evaluated)} == STAGES
    assert len(set(trained)) == len(trained)
    assert len(trained) - 1 == sum(run.seed is not None for run in evaluated)


def test_empty_lists_select_only_classifiers(raw: Raw) -> None:
    raw |= {"adapters": [], "gans": [], "autoencoders": [], "conditional": {"acgan": [], "ddpm": []}}
    raw["extractors"] = {"digits": [], "faces": []}
    params = validate(raw, "params.yaml")
    stages = {run.stage for run in (*trained_runs(params), *evaluated_runs(params))}
    assert stages == {"train_classifier", "evaluate_classifier"}
