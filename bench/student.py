"""The way of a student: from the course's folder in an empty clone to the files that are handed in, judged.

    python bench/student.py --mnistm M.npz --usps U.npz --svhn S.npz --faces F.npz [--year 2022] [--images 2000] [--size smoke]

The npz files hold train_images, train_labels, test_images and test_labels (28x28), faces 64x64 without labels; year 2020 also needs
train_male and test_male. They are laid out as the course did in that year, with at most `--images` training images of each set, in a
temporary folder. What stands for SVHN there need not be SVHN: this tries a path and publishes no result.

Prints each command with its seconds and the end of what it says. The exit status is 1 if a command fails or a hand-in is incomplete.
"""

import argparse
import csv
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).parents[1]
DOMAINS = ("mnistm", "usps", "svhn")
HAND_IN = 50  # images of 2022 that only test.csv names


def main() -> int:
    options = argparse.ArgumentParser()
    for name in (*DOMAINS, "faces"):
        options.add_argument(f"--{name}", type=Path, required=True)
    options.add_argument("--year", choices=("2020", "2021", "2022"), default="2022")
    options.add_argument("--images", type=int, default=2000)
    options.add_argument("--size", default="smoke", help="a profile of sizes")
    options.add_argument("--report", default="R22b", help="a reference report's profile")
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        course = lay_out(Path(folder), given)
        clone = Path(folder) / "clone"
        subprocess.run(["git", "clone", "--quiet", ROOT, clone], check=True)
        params = clone / "params.yaml"
        params.write_text(params.read_text().replace("path: null", f"path: {course}", 1))
        return walk(clone, course, given)


def walk(clone: Path, course: Path, given: argparse.Namespace) -> int:
    run = Runner(clone)
    run("profile", "course", given.report, given.size)
    run("check")
    run("repro")
    run("results")
    folder = "val" if given.year == "2022" else "test"
    images = course / "digits" / "usps" / ("data" if given.year == "2022" else "test")
    labels = course / "digits" / "usps" / f"{folder}.csv"
    run("generate", "--run", "gan/dcgan5", "-n", "1000", "--out", "faces")
    run("generate", "--run", "ddpm", "--per-class", "100", "--out", "digits")
    run("predict", "--run", "dann/mnistm-usps", str(images), "usps.csv")
    run("judge", "faces", "faces")
    run("judge", "fid", "faces", str(course / "face" / folder), "--faces")
    run("judge", "digits", "digits", "--domain", "mnistm")
    run("score", "usps.csv", str(labels))
    rows = len((clone / "usps.csv").read_text().splitlines()) - 1
    counts = [len(list((clone / name).glob("*.png"))) for name in ("faces", "digits")]
    complete = counts == [1000, 1000] and rows == len(list(images.iterdir()))
    print(
        f"faces {counts[0]}, digits {counts[1]}, predictions {rows}: {'complete' if complete else 'INCOMPLETE'}"
    )
    return int(run.failed or not complete)


class Runner:
    def __init__(self, clone: Path) -> None:
        self.clone, self.failed = clone, False

    def __call__(self, *arguments: str) -> None:
        started = time.monotonic()
        command = [sys.executable, "-m", "hw2core", *arguments]
        done = subprocess.run(command, cwd=self.clone, capture_output=True, text=True)
        self.failed |= done.returncode != 0
        print(f"$ hw2 {' '.join(arguments)}    # {time.monotonic() - started:.0f} s, exit {done.returncode}")
        lines = (done.stdout + done.stderr * (done.returncode != 0)).splitlines()
        print(*(f"  {line}" for line in lines[-4:]), sep="\n", flush=True)


def lay_out(folder: Path, given: argparse.Namespace) -> Path:
    """Write the folders and tables of a year. Returns hw2_data, or hw3_data of 2020."""
    course = folder / ("hw3_data" if given.year == "2020" else "hw2_data")
    for domain in DOMAINS:
        write_digits(course / "digits" / domain, np.load(getattr(given, domain)), given)
    faces = np.load(given.faces)
    second = "val" if given.year == "2022" else "test"
    for split, name in (("train", "train"), ("test", second)):
        images = faces[f"{split}_images"][: given.images]
        names = write_images(course / "face" / name, images, 0)
        if given.year == "2020":
            male = faces[f"{split}_male"][: given.images]
            write_table(course / "face" / f"{name}.csv", "Male", names, [f"{value:.1f}" for value in male])
    return course


def write_digits(folder: Path, arrays: np.lib.npyio.NpzFile, given: argparse.Namespace) -> None:
    start = 0
    for split in ("train", "test"):
        images, labels = (arrays[f"{split}_{part}"][: given.images] for part in ("images", "labels"))
        pool, name = given.year == "2022", "val" if given.year == "2022" and split == "test" else split
        names = write_images(folder / ("data" if pool else name), images, start * pool)
        write_table(folder / f"{name}.csv", "label", names, [str(label) for label in labels])
        start += len(names)
    if given.year == "2022":
        names = write_images(folder / "data", arrays["test_images"][-HAND_IN:], start)
        write_table(folder / "test.csv", "label", names, ["0"] * HAND_IN)


def write_images(folder: Path, images: np.ndarray, start: int) -> list[str]:
    folder.mkdir(parents=True, exist_ok=True)
    names = [f"{number:05}.png" for number in range(start, start + len(images))]
    for name, image in zip(names, images, strict=True):
        Image.fromarray(image).save(folder / name)
    return names


def write_table(path: Path, column: str, names: list[str], values: list[str]) -> None:
    with path.open("w", newline="") as file:
        csv.writer(file).writerows([("image_name", column), *zip(names, values, strict=True)])


if __name__ == "__main__":
    sys.exit(main())
