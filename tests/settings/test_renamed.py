"""Old names: a key of version 0.1 is reported with its new name."""

import pytest
from conftest import Raw, small_raw
from invalid_params import get, problems, put

from hw2core.settings.models import Params
from hw2core.settings.registry import TRAININGS
from hw2core.settings.renamed import RENAMED, RENAMED_IN_EVERY_SYSTEM, new_name

SECTIONS = [*TRAININGS, "acgan.digits", "acgan.faces"]


def has(raw: Raw, path: str) -> bool:
    try:
        get(raw, path)
    except (KeyError, TypeError):
        return False
    return True


def renamed_keys() -> list[tuple[str, str]]:
    """Every old path that a user can write, with its new path: those of RENAMED, and one section for each of the others."""
    raw = small_raw()
    found = {old: new for old, new in RENAMED.items() if old.rpartition(".")[0] not in RENAMED}
    for key, new in RENAMED_IN_EVERY_SYSTEM.items():
        section = next(
            name for name in SECTIONS if has(raw, f"{name}.{new}") and f"{name}.{key}" not in RENAMED
        )
        found[f"{section}.{key}"] = f"{section}.{new}"
    return list(found.items())


@pytest.mark.parametrize(("old", "new"), renamed_keys())
def test_an_old_key_is_reported_with_its_new_name_and_nothing_else(raw: Raw, old: str, new: str) -> None:
    """The new key, or the group that it is in, is not reported as missing too."""
    assert has(raw, new)
    missing = next(part for part in prefixes(new) if part not in Params.model_fields or part == new)
    *parents, key = missing.split(".")
    del (get(raw, ".".join(parents)) if parents else raw)[key]
    put(raw, old, 1)
    assert problems(raw) == [f"{old}: is called {new} now"]


def prefixes(path: str) -> list[str]:
    """a.b.c: a.b, then the whole; a key at the top: itself. The sections of acgan are not a group of keys."""
    parts = path.split(".")
    start = 3 if parts[0] == "acgan" else 2
    return [".".join(parts[:stop]) for stop in range(min(start, len(parts)), len(parts) + 1)]


def test_every_new_name_is_a_key(raw: Raw) -> None:
    assert all(has(raw, new) for new in RENAMED.values())


def test_several_old_keys_of_one_group_are_one_line_each(raw: Raw) -> None:
    del raw["dann"]["optimizer"]
    raw["dann"] |= {"beta1": 0.9, "beta2": 0.999, "weight_decay": 0.0}
    assert sorted(problems(raw)) == [
        "dann.beta1: is called dann.optimizer.betas now",
        "dann.beta2: is called dann.optimizer.betas now",
        "dann.weight_decay: is called dann.optimizer.weight_decay now",
    ]


def test_a_key_that_is_missing_for_another_reason_is_still_reported(raw: Raw) -> None:
    del raw["dann"]["lambda_max"], raw["dann"]["lambda_schedule"]
    raw["dann"]["reversal"] = 1
    assert problems(raw) == [
        "dann.lambda_schedule: missing; every key must be given",
        "dann.reversal: is called dann.lambda_max now",
    ]


@pytest.mark.parametrize(
    ("path", "hint"),
    [("data.folder.path", "did you mean data.folder.paths?"), ("classifier.noise", "known here: ")],
)
def test_a_key_that_its_section_never_had_is_unknown(raw: Raw, path: str, hint: str) -> None:
    put(raw, path, 1)
    (line,) = problems(raw)
    assert line.startswith(f"{path}: unknown key; {hint}")


def test_a_key_that_never_existed_has_no_new_name() -> None:
    assert new_name("dann.zzz") is None
    assert new_name("engine") is None
