"""`hw2 score`: how right a csv of predictions is."""

from pathlib import Path

from hw2core.data.labels import read_digits, read_table
from hw2core.data.problems import Problems
from hw2core.data.trees import Folder
from hw2core.errors import UserError


def score(predictions: str, labels: str) -> None:
    """Print how many of the labeled images are predicted rightly; an image without a prediction is wrong."""
    problems = Problems()
    predicted, true = (read_labels(Path(path), problems) for path in (predictions, labels))
    problems.raise_any()
    right = sum(predicted.get(name) == label for name, label in true.items())
    missing = sum(name not in predicted for name in true)
    unknown = sum(name not in true for name in predicted)
    print(f"accuracy {100 * right / len(true):.2f} %: {right} of {len(true)} images right")
    print(
        f"{missing} without a prediction, counted as wrong; {unknown} predictions of images that have no label"
    )


def read_labels(path: Path, problems: Problems) -> dict[str, int]:
    """The label of each image that a table names."""
    if not path.exists():
        raise UserError(f"{path}: no such file")
    if path.is_dir():
        raise UserError(f"{path}: is a folder, not a csv")
    table = read_table(Folder(str(path.parent), [path.name]), path.name, problems)
    if table is None:
        return {}
    labels: dict[str, int] = {}
    for row, (name, label) in enumerate(
        zip(table.images, read_digits(table, problems).tolist(), strict=True)
    ):
        if name in labels:
            problems.add(table.row(row), f"names {name} a second time", "take one of the lines out")
        labels[name] = label
    return labels
