"""Parts of the pipeline by name."""

import pytest

from hw2core.errors import UserError
from hw2core.pipeline.targets import select, words_of

COMMANDS = {
    "preprocess@usps": "python -m hw2core preprocess usps",
    "train_classifier@usps-0": "python -m hw2core train_classifier usps 0",
    "train_classifier@usps-1": "python -m hw2core train_classifier usps 1",
    "train_adapter@dann-usps-svhn-0": "python -m hw2core train_adapter dann usps-svhn 0",
    "train_adapter@dann-usps-svhn-1": "python -m hw2core train_adapter dann usps-svhn 1",
    "train_adapter@adda-usps-svhn-0": "python -m hw2core train_adapter adda usps-svhn 0",
    "evaluate@dann-usps-svhn-0": "python -m hw2core evaluate dann usps-svhn 0",
    "train_acgan@digits-0": "python -m hw2core train_acgan digits 0",
    "report": "python -m hw2core report",
}
UPSTREAM = {
    name: {
        other
        for other in COMMANDS
        if (name.startswith("train_") and other.startswith("preprocess"))
        or (name.startswith("evaluate") and other == name.replace("evaluate", "train_adapter"))
        or name == "report" != other
    }
    for name in COMMANDS
}
DATA = "preprocess@usps"


@pytest.mark.parametrize(
    ("targets", "names"),
    [
        (["report"], set(COMMANDS)),
        (["usps"], {DATA, "train_classifier@usps-0", "train_classifier@usps-1"}),
        (["train_classifier/seed1"], {DATA, "train_classifier@usps-1"}),
        (["acgan"], {DATA, "train_acgan@digits-0"}),
        (["evaluate"], {DATA, "evaluate@dann-usps-svhn-0", "train_adapter@dann-usps-svhn-0"}),
        (["dann/usps-svhn/seed1", "adda"], {DATA, "train_adapter@dann-usps-svhn-1", "train_adapter@adda-usps-svhn-0"}),
        (["train_adapter@adda-usps-svhn-0"], {DATA, "train_adapter@adda-usps-svhn-0"}),
    ],
)  # fmt: skip
def test_targets_select_stages_and_what_they_read_from(targets: list[str], names: set[str]) -> None:
    assert select(targets, COMMANDS, UPSTREAM) == names


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ("dan", r"^no stage is called 'dan'; did you mean dann.*\?$"),
        ("", "^no stage is called ''"),
        ("x{}'\n", r"^no stage is called .*\\n"),
        ("acgan/seed1", "^no stage is called all of acgan, seed1$"),
    ],
)
def test_a_target_that_names_nothing_is_one_line(target: str, message: str) -> None:
    with pytest.raises(UserError, match=message):
        select([target], COMMANDS, UPSTREAM)


def test_a_number_alone_is_no_seed() -> None:
    assert "0" not in words_of("x@usps-0", "python -m hw2core train_classifier usps 0")
