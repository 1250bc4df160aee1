"""The cost of reading image files once and of training epochs on them, compared with torchvision's ImageFolder.

    python bench/data.py [PATH ...] [--images 60000] [--rounds 3]

PATH is a folder of images in subfolders, such as hw2_data/digits/mnistm. Without one, 28x28 PNG files are made in a temporary
folder of that layout. Both sides use two cores.

Reading: ours lists, reads, checks, decodes and frames every image and writes one uint8 array to disk. Theirs reads all images
once with ImageFolder, ToTensor and a DataLoader with 2 workers and batches of 128, and writes nothing.
An epoch: ours takes all batches of 128 in a new order from that array; theirs reads the files again, shuffled.
The two take turns, and each ratio is of the same round.
"""

import importlib.util
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from common import parser
from PIL import Image

# Slow imports are where they are used: the worker processes that read files import this module too.
from hw2core.data import folder
from hw2core.data.frames import resize_digit, square_face
from hw2core.data.pictures import read_pictures
from hw2core.data.trees import open_tree
from hw2core.engine import images
from hw2core.engine.images import ImageData, Split
from hw2core.files import write_array

BATCH = 128
CORES = 2
TEST_FRACTION = 1 / 6  # of the images that are made here; about MNIST-M's
PARTS = ("images", "labels")


def main() -> None:
    options = parser(__doc__)
    options.add_argument("paths", metavar="PATH", type=Path, nargs="*", help="folders of images")
    options.add_argument("--images", type=int, default=60_000, help="images to make if there is no PATH")
    options.add_argument("--rounds", type=int, default=3, help="rounds")
    given = options.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    if importlib.util.find_spec("torchvision") is None:
        print("torchvision is not installed: only ours is timed; `uv pip install torchvision` installs it")
    with tempfile.TemporaryDirectory() as scratch:
        for path in given.paths or [
            make_files(Path(scratch) / "hw2_data" / "digits" / "mnistm", given.images)
        ]:
            compare(path, Path(scratch), given.rounds)


def make_files(home: Path, count: int) -> Path:
    """Write blended digits in the course's layout: train/, test/ and their tables."""
    from hw2core.data import standins
    from hw2core.settings.models import Embedded

    raw = home.parents[2] / "raw"
    raw.mkdir()
    standins.fetch_handwriting_and_photos(raw)
    tests = round(TEST_FRACTION * count)
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
    images.write(ready, ImageData({"train": everything, "test": everything}, "bench"), {"name": "bench"})
    opening = [seconds(lambda: images.open_split(ready, "train")) for _ in range(100)]
    print(f"opening the ready set: {statistics.median(opening) * 1e3:.2f} ms (median of 100)")
    take_batch, epoch = training(ready)
    batch = [seconds(take_batch) for _ in range(1000)]
    print(f"a batch of {BATCH}: {statistics.median(batch) * 1e6:.0f} us (median of 1000, one thread)")
    take_turns("an epoch", count, rounds, epoch, loader and files_loader(path, shuffle=True))


def read(path: Path, scratch: Path) -> ImageData:
    """Ours: read all images of a folder and write them as one array."""
    tree = open_tree(path)
    listings = folder.list_splits(tree, TEST_FRACTION)
    frame = resize_digit if listings["train"].attributes is None else square_face
    pictures = read_pictures(
        tree, [file for listing in listings.values() for file in listing.files], frame
    ).images
    write_array(scratch / "pictures.npy", pictures)
    start, splits = 0, {}
    for name, listing in listings.items():
        splits[name] = Split(pictures[start : start + len(listing.files)], listing.labels)
        start += len(listing.files)
    return ImageData(splits, "bench", listings["train"].attributes)


def files_loader(path: Path, shuffle: bool = False) -> Callable[[], object] | None:
    """Theirs: read all files once. None without torchvision."""
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
    """Ours: functions that take one random batch, and an epoch."""
    import torch

    from hw2core.engine.batches import Shuffle, resident
    from hw2core.engine.device import Device

    torch.set_num_threads(1)
    device = Device(torch.device("cpu"), bf16=False, channels_last=True, compiled=False, about="bench")
    data = resident(images.open_split(ready, "train"), device)
    indices = torch.randperm(len(data), generator=torch.Generator().manual_seed(0))[:BATCH]
    epochs = iter(range(10**6))

    def epoch() -> None:
        order = Shuffle(data, BATCH, "bench", next(epochs))
        exhaust(order.at(k) for k in range(len(data) // BATCH))

    return lambda: data.take(indices), epoch


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
