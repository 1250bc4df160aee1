"""Face detection in image files, for `hw2 judge`. Stages detect faces in arrays: see faces.py."""

from typing import Any

from hw2core.data.decode import decode
from hw2core.data.frames import color
from hw2core.data.problems import FileError
from hw2core.data.trees import Tree
from hw2core.evaluation.faces import CHUNK, SERIAL, UNREADABLE, count_faces, summary, with_progress
from hw2core.workers import map_in_order


def detect_faces_in_files(tree: Tree, files: list[str]) -> dict[str, Any]:
    """Return the face detection rate of image files. A file that cannot be decoded counts as one without a face."""
    chunks = (tree.part(files[start : start + CHUNK]) for start in range(0, len(files), CHUNK))
    counts = map(count_in_files, chunks) if len(files) <= SERIAL else map_in_order(count_in_files, chunks)
    return summary(with_progress(counts, len(files), tree.name))


def count_in_files(tree: Tree) -> list[int]:
    counts = []
    for file in tree.files:
        try:
            counts.append(count_faces(color(decode(f"{tree.name}/{file}", tree.read(file)))))
        except FileError:
            counts.append(UNREADABLE)
    return counts
