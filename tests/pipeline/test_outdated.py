"""What dvc.lock says of outputs: of the present params and data, or of others."""

import json
from pathlib import Path
from typing import Any

import pytest

from hw2core.errors import UserError
from hw2core.layout import Layout
from hw2core.pipeline.outdated import find_outdated, outdated_outputs

PARAMS: dict[str, Any] = {"data": {"source": "embedded"}, "dann": {"lr": 0.001, "steps": 5}, "gan": {"lr": 1}}
INPUTS = "stages/inputs/pair.json"


def entry(outs: str, deps: dict[str, str], **params: Any) -> dict[str, Any]:
    return {
        "cmd": "x",
        "deps": [{"path": path, "hash": "md5", "md5": md5} for path, md5 in deps.items()],
        "params": {"params.yaml": params} if params else {},
        "outs": [{"path": outs, "hash": "md5", "md5": f"made {outs}"}],
    }


@pytest.fixture
def stages() -> dict[str, Any]:
    """Data, the checksums of a pair, its training and evaluation, and a GAN that reads the same data."""
    data = {"data/ready/a": "made data/ready/a", "hw2core/data": "some code"}
    return {
        "preprocess": entry("data/ready/a", {}, **{"data.source": "embedded"}),
        "pair_inputs": entry(INPUTS, {"data/ready/a": "made data/ready/a"}),
        "train": entry("models/dann", {}, dann={"lr": 0.001, "steps": 5}),
        "evaluate": entry("stages/dann", {"models/dann": "made models/dann"}),
        "gan": entry("models/gan", data, gan={"lr": 1}),
    }


@pytest.fixture
def layout(tmp_path: Path, stages: dict[str, Any]) -> Layout:
    stages["train"]["params"][INPUTS] = {"images": "checksum 1"}
    (tmp_path / INPUTS).parent.mkdir(parents=True)
    (tmp_path / INPUTS).write_text(json.dumps({"images": "checksum 1"}))
    (tmp_path / "params.yaml").write_text(json.dumps(PARAMS))
    (tmp_path / "dvc.lock").write_text(json.dumps({"schema": "2.0", "stages": stages}))
    return Layout(tmp_path)


def test_nothing_is_outdated_after_a_run(layout: Layout) -> None:
    assert outdated_outputs(layout) == frozenset()


@pytest.mark.parametrize(
    ("key", "value", "outdated"),
    [
        ("dann", {"lr": 0.002, "steps": 5}, {"models/dann", "stages/dann"}),
        ("dann", {"lr": 1e-3, "steps": 5}, set()),
        ("gan", {}, {"models/gan"}),
        ("other", 1, set()),
        (
            "data",
            {"source": "course"},
            {"data/ready/a", INPUTS, "models/dann", "stages/dann", "models/gan"},
        ),
    ],
)
def test_another_value_outdates_what_depends_on_it(
    layout: Layout, key: str, value: Any, outdated: set[str]
) -> None:
    layout.params.write_text(json.dumps(PARAMS | {key: value}))
    assert outdated_outputs(layout) == outdated


def test_other_data_outdate_what_has_not_run_since(stages: dict[str, Any]) -> None:
    """The data were made again; of their readers only the GAN has run again."""
    stages["preprocess"]["outs"][0]["md5"] = stages["gan"]["deps"][0]["md5"] = "new"
    assert find_outdated(stages, {"params.yaml": PARAMS}) == {INPUTS}


def test_other_checksums_of_a_pair_outdate_its_trainings(layout: Layout) -> None:
    (layout.root / INPUTS).write_text(json.dumps({"images": "checksum 2"}))
    assert outdated_outputs(layout) == {"models/dann", "stages/dann"}


def test_code_is_not_compared(stages: dict[str, Any]) -> None:
    stages["gan"]["deps"][1]["md5"] = "other code"
    assert find_outdated(stages, {"params.yaml": PARAMS}) == frozenset()


def test_without_dvc_lock_nothing_is_known(tmp_path: Path) -> None:
    assert outdated_outputs(Layout(tmp_path)) == frozenset()


@pytest.mark.parametrize("text", ["", "[", "stages: [1]", "stages: {a: 1}", "1"])
def test_a_dvc_lock_of_another_form_is_one_line(layout: Layout, text: str) -> None:
    (layout.root / "dvc.lock").write_text(text)
    with pytest.raises(UserError, match=r"dvc\.lock: not as DVC writes it; restore it by git, or remove it$"):
        outdated_outputs(layout)
