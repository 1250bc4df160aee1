"""Reports of problems: ten lines, the number of further ones, and the remedy."""

import pickle

import pytest

from hw2core.data.problems import FileError, Problems
from hw2core.errors import UserError


def collected(count: int, *remedies: str) -> Problems:
    problems = Problems()
    for number in range(count):
        problems.add(f"set/{number}.png", "is empty", remedies[number % len(remedies)])
    return problems


def test_no_problem_is_no_error() -> None:
    Problems().raise_any()


def test_one_problem_is_one_line() -> None:
    with pytest.raises(FileError) as error:
        collected(1, "replace it").raise_any()
    assert str(error.value) == "set/0.png: is empty; replace it"


def test_first_ten_problems_are_shown_with_the_common_remedy_once() -> None:
    with pytest.raises(UserError) as error:
        collected(47, "replace them").raise_any()
    lines = str(error.value).splitlines()
    assert lines[:10] == [f"set/{number}.png: is empty" for number in range(10)]
    assert lines[10:] == ["and 37 more", "replace them"]


def test_different_remedies_are_shown_per_line() -> None:
    with pytest.raises(UserError) as error:
        collected(3, "replace it", "remove it").raise_any()
    assert str(error.value).splitlines() == [
        "set/0.png: is empty; replace it",
        "set/1.png: is empty; remove it",
        "set/2.png: is empty; replace it",
    ]


@pytest.mark.parametrize("name", ["a\nb.png", "\udcff.png", "\x1b[31m.png", "\u2028.png"])
def test_problem_is_one_printable_line_for_any_file_name(name: str) -> None:
    message = str(FileError(name, "is empty", "replace it"))
    assert message.isprintable()
    assert message.endswith(".png: is empty; replace it")


def test_problem_can_be_pickled() -> None:
    problem = FileError("set/0.png", "is empty", "replace it")
    again = pickle.loads(pickle.dumps(problem))
    assert (type(again), str(again)) == (FileError, str(problem))
