"""All problems in one report: ten lines, how many more, and what to do."""

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
        collected(1, "bring it anew").raise_any()
    assert str(error.value) == "set/0.png: is empty; bring it anew"


def test_of_many_the_first_ten_are_said_and_the_common_remedy_once() -> None:
    with pytest.raises(UserError) as error:
        collected(47, "bring them anew").raise_any()
    lines = str(error.value).splitlines()
    assert lines[:10] == [f"set/{number}.png: is empty" for number in range(10)]
    assert lines[10:] == ["and 37 more", "bring them anew"]


def test_remedies_that_differ_are_said_in_their_lines() -> None:
    with pytest.raises(UserError) as error:
        collected(3, "bring it anew", "take it away").raise_any()
    assert str(error.value).splitlines() == [
        "set/0.png: is empty; bring it anew",
        "set/1.png: is empty; take it away",
        "set/2.png: is empty; bring it anew",
    ]


@pytest.mark.parametrize("name", ["a\nb.png", "\udcff.png", "\x1b[31m.png", "\u2028.png"])
def test_a_problem_is_one_printable_line_whatever_the_file_is_called(name: str) -> None:
    said = str(FileError(name, "is empty", "bring it anew"))
    assert said.isprintable()
    assert said.endswith(".png: is empty; bring it anew")


def test_a_problem_comes_whole_from_another_process() -> None:
    problem = FileError("set/0.png", "is empty", "bring it anew")
    again = pickle.loads(pickle.dumps(problem))
    assert (type(again), str(again)) == (FileError, str(problem))
