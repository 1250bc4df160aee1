"""What it costs to read image files once and to train on them ever after, against torchvision's ImageFolder.

    python bench/data.py [PATH ...] [--images 60000] [--rounds 3]

PATH is a folder of images with folders in it, such as hw2_data/digits/mnistm; without one, 28x28 pngs are drawn into
a temporary folder laid out like that. All on two cores.

Reading: ours lists, reads, checks, decodes and frames every image and writes one uint8 array to disk. Theirs goes
once through ImageFolder with ToTensor by a DataLoader with 2 workers and batches of 128, and keeps nothing.
An epoch: ours takes the batches of 128 of a new order from the set so made; theirs reads the files again, shuffled.
The two take turns, and the ratio of a round is of neighbors in time.
"""

import argparse
import importlib.util
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parents[1]))

# What is slow to import is imported where it is used: our reading processes import this file, and need none of it.
from hw2core.data import folder, store
from hw2core.data.frames import resize_digit, square_face
from hw2core.data.pictures import read_pictures
from hw2core.engine.images import ImageData, Split
from hw2core.data.trees import open_tree
from hw2core.files import write_array

BATCH = 128
CORES = 2
TESTS = 1 / 6  # of the drawn images, as many as of MNIST-M's


def main() -> None:
    options = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    options.add_argument("paths", metavar="PATH", type=Path, nargs="*", help="folders of images")
    options.add_argument("--images", type=int, default=60_000, help="images to draw if there is no PATH")
    options.add_argument("--rounds", type=int, default=3, help="turns of each")
    given = options.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    if importlib.util.find_spec("torchvision") is None:
        print("torchvision is not installed: ours alone is timed; `uv pip install torchvision` brings it")
    with tempfile.TemporaryDirectory() as scratch:
        for path in given.paths or [draw(Path(scratch) / "hw2_data" / "digits" / "mnistm", given.images)]:
            compare(path, Path(scratch), given.rounds)


def draw(home: Path, count: int) -> Path:
    """Blended digits as the course lays them out: train/, test/, and their tables."""
    from hw2core.data import standins
    from hw2core.settings import Embedded

    raw = home.parents[2] / "raw"
    raw.mkdir()
    standins.fetch_handwriting_and_photos(raw)
    tests = round(TESTS * count)
    splits = standins.make_blended(
        raw, Embedded(seed=0, train=count - tests, test=tests, faces_train=100, faces_test=100)
    )
    for name, split in splits.items():
        (home / name).mkdir(parents=True)
        lines = ["image_name,label"]
        for number, (image, label) in enumerate(zip(split.images, split.labels, strict=True)):
            Image.fromarray(image).save(home / name / f"{number:05}.png")
            lines.append(f"{number:05}.png,{label}")
        (home / f"{name}.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return home


def compare(path: Path, scratch: Path, rounds: int) -> None:
    data = read(path, scratch)
    count = sum(len(split) for split in data.splits.values())
    everything = Split(*(np.concatenate([getattr(s, part) for s in data.splits.values()]) for part in PARTS))
    loader = files_loader(path)
    print(f"\n{path}: {count} images")
    take_turns("reading", count, rounds, lambda: read(path, scratch), loader)
    ready = scratch / "ready"
    store.write(ready, ImageData({"train": everything, "test": everything}, "bench"), {"name": "bench"})
    opening = [seconds(lambda: store.open_split(ready, "train")) for _ in range(100)]
    print(f"opening the ready set: {statistics.median(opening) * 1e3:.2f} ms (median of 100)")
    images, epoch = training(ready)
    batch = [seconds(images) for _ in range(1000)]
    print(f"a batch of {BATCH}: {statistics.median(batch) * 1e6:.0f} us (median of 1000, one thread)")
    take_turns("an epoch", count, rounds, epoch, loader and files_loader(path, shuffle=True))


PARTS = ("images", "labels")


def read(path: Path, scratch: Path) -> ImageData:
    """Ours, up to the file."""
    tree = open_tree(path)
    listings = folder.list_splits(tree, TESTS)
    frame = resize_digit if listings["train"].attributes is None else square_face
    pictures = read_pictures(tree, [file for listing in listings.values() for file in listing.files], frame)
    write_array(scratch / "pictures.npy", pictures)
    start, splits = 0, {}
    for name, listing in listings.items():
        splits[name] = Split(pictures[start : start + len(listing.files)], listing.labels)
        start += len(listing.files)
    return ImageData(splits, "bench", listings["train"].attributes)


def files_loader(path: Path, shuffle: bool = False) -> Callable[[], object] | None:
    """Theirs: once through all the files."""
    if importlib.util.find_spec("torchvision") is None:
        return None
    from torch.utils.data import DataLoader
    from torchvision.datasets import ImageFolder
    from torchvision.transforms import ToTensor

    def run() -> None:
        files = ImageFolder(str(path), ToTensor())
        exhaust(DataLoader(files, batch_size=BATCH, shuffle=shuffle, num_workers=CORES))

    return run


def training(ready: Path) -> tuple[Callable[[], object], Callable[[], object]]:
    """Ours: one batch at random, and an epoch of them."""
    import torch

    from hw2core.engine.batches import Shuffle, resident
    from hw2core.engine.device import Device

    torch.set_num_threads(1)
    device = Device(torch.device("cpu"), bf16=False, channels_last=True, compiled=False, about="bench")
    images = resident(store.open_split(ready, "train"), device)
    indices = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))[:BATCH]
    epochs = iter(range(10**6))

    def epoch() -> None:
        order = Shuffle(images, BATCH, "bench", next(epochs))
        exhaust(order.at(k) for k in range(len(images) // BATCH))

    return lambda: images.take(indices), epoch


def take_turns(
    what: str, count: int, rounds: int, ours: Callable[[], object], theirs: Callable[[], object] | None
) -> None:
    times = [(seconds(ours), seconds(theirs) if theirs else float("nan")) for _ in range(rounds)]
    mine, other = (statistics.median(column) for column in zip(*times, strict=True))
    line = f"{what}: ours {mine:.2f} s, {count / mine:.0f} images/s"
    if theirs:
        ratios = [other / mine for mine, other in times]
        line += (
            f"; ImageFolder and DataLoader {other:.2f} s, {count / other:.0f} images/s; ratio "
            f"{statistics.median(ratios):.2f} (median of {rounds}, {min(ratios):.2f} to {max(ratios):.2f})"
        )
    print(line, flush=True)


def seconds(call: Callable[[], object]) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start


def exhaust(batches: Iterable[Any]) -> None:
    for _ in batches:
        pass


if __name__ == "__main__":
    main()
