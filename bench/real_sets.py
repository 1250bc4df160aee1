"""Check that published datasets are read completely: MNIST, USPS and MNIST-M.

    python bench/real_sets.py --mnist mnist.npz --usps usps.npz --photos bsds500_train.zip

Writes given arrays in their official formats, serves them from this machine, and runs `hw2 download` and `hw2 preprocess`; then
does the same with folders in the course's layout. The npz files hold train_images, train_labels, test_images and test_labels as
published (USPS 16x16, floor(255 x)); the zip holds BSDS500's 200 training photos. Prints a line for each check; the exit status
is 1 if one fails.
"""

import bz2
import csv
import functools
import gzip
import http.server
import io
import json
import os
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from common import ROOT, parser
from PIL import Image
from ruamel.yaml import YAML

SETS = ("mnist", "usps", "mnistm")
COUNTS = {"mnist": (60000, 10000), "usps": (7291, 2007), "mnistm": (59001, 9001)}
PER_CLASS = {
    "mnist": (
        (5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949),
        (980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
    ),
    "usps": (
        (1194, 1005, 731, 658, 652, 556, 664, 645, 542, 644),
        (359, 264, 198, 166, 200, 160, 170, 147, 166, 177),
    ),
    "mnistm": (
        (5825, 6640, 5853, 6028, 5746, 5331, 5812, 6158, 5757, 5851),
        (878, 1016, 933, 908, 890, 807, 856, 914, 880, 919),
    ),
}
MNISTM_MD5 = {"train": "47714d32525a42d37bfc15679ea4bb36", "test": "31241b3e01d61fab054cdbef370a9da1"}
SPLIT_2022 = {"usps": (5950, 1488), "mnistm": (44800, 11200)}

failures = 0


def check(what: str, holds: bool) -> None:
    global failures
    failures += not holds
    print(f"{'ok' if holds else 'WRONG':<6}{what}", flush=True)


def write_mirror(mirror: Path, mnist: Path, usps: Path, photos: Path) -> None:
    mirror.mkdir()
    with np.load(mnist) as arrays:
        for split, prefix in (("train", "train"), ("test", "t10k")):
            for kind, name in (("images", "images-idx3"), ("labels", "labels-idx1")):
                array = arrays[f"{split}_{kind}"].astype(np.uint8)
                header = bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes()
                (mirror / f"{prefix}-{name}-ubyte.gz").write_bytes(gzip.compress(header + array.tobytes(), 1))
    with np.load(usps) as arrays:
        for split, name in (("train", "usps.bz2"), ("test", "usps.t.bz2")):
            values = arrays[f"{split}_images"].reshape(-1, 256) / 255 * 2 - 1
            lines = (
                f"{label + 1} " + " ".join(f"{i}:{value:.6g}" for i, value in enumerate(row, 1))
                for label, row in zip(arrays[f"{split}_labels"], values, strict=True)
            )
            (mirror / name).write_bytes(bz2.compress("\n".join(lines).encode(), 1))
    with (
        zipfile.ZipFile(photos) as source,
        tarfile.open(mirror / "BSR_bsds500.tgz", "w:gz", compresslevel=1) as target,
    ):
        for name in source.namelist():
            content = source.read(name)
            member = tarfile.TarInfo(f"BSR/BSDS500/data/images/train/{name.rpartition('/')[2]}")
            member.size = len(content)
            target.addfile(member, io.BytesIO(content))


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


def workspace(folder: Path, data: Mapping[str, object], domains: list[str]) -> Path:
    """Make a workspace with these settings of `data`."""
    folder.mkdir()
    shutil.copyfile(ROOT / "dvc.yaml", folder / "dvc.yaml")
    yaml = YAML()
    params = yaml.load((ROOT / "params.yaml").read_text())
    for key, value in data.items():
        section = params["data"].get(key)
        if isinstance(value, dict) and isinstance(section, dict):
            section.update(value)
        else:
            params["data"][key] = value
    params["data"] |= {"domains": domains, "digits": domains[0], "color_jitter": []}
    first, second = domains[:2]
    params["pairs"] = {f"{first}-{second}": {"source": first, "target": second}}
    yaml.dump(params, folder / "params.yaml")
    return folder


def hw2(folder: Path, *arguments: str) -> None:
    start = time.monotonic()
    done = subprocess.run([sys.executable, "-m", "hw2core", *arguments], cwd=folder, env=environment())
    check(f"hw2 {' '.join(arguments)} in {time.monotonic() - start:.1f} s", done.returncode == 0)


def environment() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def arrays_of(folder: Path, dataset: str) -> dict[str, np.ndarray]:
    ready = folder / "data" / "ready" / dataset
    return {path.stem: np.load(path) for path in sorted(ready.glob("*.npy"))}


def about(folder: Path, dataset: str) -> dict[str, Any]:
    return json.loads((folder / "data" / "ready" / dataset / "about.json").read_text())


def unpack(arrays: dict[str, np.ndarray], digits: Path, dataset: str, year: int) -> None:
    """Write the images as the course's PNG files: in a folder per split (2021), or all in data/ (2022)."""
    for split, table in (("train", "train"), ("test", "test" if year == 2021 else "val")):
        folder = digits / dataset / (table if year == 2021 else "data")
        folder.mkdir(parents=True, exist_ok=True)
        offset = 0 if split == "train" else len(arrays["train_images"])
        with (digits / dataset / f"{table}.csv").open("w", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("image_name", "label"))
            for i, (image, label) in enumerate(
                zip(arrays[f"{split}_images"], arrays[f"{split}_labels"], strict=True), offset
            ):
                # The course's USPS has one channel.
                Image.fromarray(image[..., 0] if dataset == "usps" else image).save(
                    folder / f"{i:05d}.png", compress_level=1
                )
                writer.writerow((f"{i:05d}.png", int(label)))


def main() -> None:
    options = parser(__doc__)
    for name in ("mnist", "usps", "photos"):
        options.add_argument(f"--{name}", type=Path, required=True)
    given = options.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        here = Path(scratch)
        write_mirror(here / "mirror", given.mnist, given.usps, given.photos)
        handler = functools.partial(Quiet, directory=str(here / "mirror"))
        with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
            threading.Thread(target=server.serve_forever, daemon=True).start()
            mirror = f"http://127.0.0.1:{server.server_port}/"
            public = workspace(here / "public", {"source": "public", "mirror": mirror}, list(SETS))
            for dataset in SETS:
                hw2(public, "download", dataset)
                hw2(public, "preprocess", dataset)
                hw2(public, "data", dataset)
                counts = about(public, dataset)["counts"]
                for split, count, per_class in zip(
                    ("train", "test"), COUNTS[dataset], PER_CLASS[dataset], strict=True
                ):
                    part = counts[split]
                    holds = part["images"] == count and part["per_class"] == list(per_class)
                    check(f"{dataset} {split}: {part['images']} images, {part['per_class']}", holds)
            found = about(public, "mnistm")["checksums"]
            check(f"mnistm, as the archive's 32x32 images: md5 {found}", found == MNISTM_MD5)
            anew = {"mnistm": "course", "split": "course2022"}
            other = workspace(
                here / "split", {"source": "public", "mirror": mirror, "public": anew}, ["mnistm", "usps"]
            )
            for dataset, expected in SPLIT_2022.items():
                hw2(other, "download", dataset)
                hw2(other, "preprocess", dataset)
                counts = about(other, dataset)["counts"]
                sizes = tuple(counts[split]["images"] for split in ("train", "test"))
                check(f"{dataset}, split of 2022: {sizes[0]} and {sizes[1]} images", sizes == expected)
            server.shutdown()
        for year in (2021, 2022):
            digits = here / str(year) / "hw2_data" / "digits"
            for dataset in ("mnistm", "usps"):
                unpack(arrays_of(public, dataset), digits, dataset, year)
            settings = {"source": "course", "course": {"path": str(here / str(year))}}
            course = workspace(here / f"course{year}", settings, ["mnistm", "usps"])
            for dataset in ("mnistm", "usps"):
                hw2(course, "download", dataset)
                hw2(course, "preprocess", dataset)
                ours, theirs = arrays_of(course, dataset), arrays_of(public, dataset)
                same = all(np.array_equal(ours[key], theirs[key]) for key in theirs)
                check(f"{dataset} from the course's layout of {year}: equal arrays", same)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
