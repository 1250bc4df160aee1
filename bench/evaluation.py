"""`hw2 judge fid` compared with the command of pytorch-fid, on folders of PNG files, with the same network.

    python bench/evaluation.py [--images 1000] [--faces FOLDER]

Both compare two folders of 64x64 images on two cores with the same untrained weights, in pytorch-fid's format, from torch's
cache. In the first run ours extracts all features; in the second it finds them in its cache. Then the Fréchet distance alone,
in 2048 dimensions, against the matrix square root that pytorch-fid computes. Then the face detector, on the same images or on
those of FOLDER.
"""

import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
from common import ROOT, parser
from PIL import Image
from pytorch_fid import inception as theirs
from scipy import linalg
from torchvision.models.inception import Inception3

from hw2core.evaluation.distances import Gaussian, frechet
from hw2core.settings.inception import FILE

CORES = 2


def main() -> None:
    options = parser(__doc__)
    options.add_argument("--images", type=int, default=1000, help="images in each of the two folders")
    options.add_argument("--faces", type=Path, help="a folder or archive of faces, for the detector")
    given = options.parse_args()
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[:CORES])
    torch.set_num_threads(CORES)
    with tempfile.TemporaryDirectory() as scratch:
        home = Path(scratch)
        commands(home, given.images)
        distances()
        faces(given.faces or home / "fake", home)


def commands(home: Path, images: int) -> None:
    save_untrained(home / "torch" / "hub" / "checkpoints" / FILE)
    fake, real = (make_files(home / name, images, seed) for seed, name in enumerate(("fake", "real")))
    workspace = home / "workspace"
    workspace.mkdir()
    for name in ("params.yaml", "dvc.yaml"):
        shutil.copyfile(ROOT / name, workspace / name)
    environment = {**os.environ, "TORCH_HOME": str(home / "torch"), "PYTHONPATH": str(ROOT)}

    def seconds(*command: str) -> float:
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, *command], cwd=workspace, env=environment, capture_output=True, text=True
        )
        print(f"    {done.stdout.strip().splitlines()[0] if done.stdout else done.stderr[-500:]}")
        return time.perf_counter() - start

    print(f"{images} + {images} PNG files of 64x64 pixels, {CORES} cores:")
    their_time = seconds("-m", "pytorch_fid", str(fake), str(real), "--device", "cpu", "--num-workers", "1")
    print(f"  python -m pytorch_fid     {their_time:8.1f} s")
    for run in ("first run", "again"):
        ours = seconds("-m", "hw2core", "judge", "fid", str(fake), str(real))
        print(f"  hw2 judge fid, {run:<10} {ours:8.1f} s: {their_time / ours:.2f} times as fast")


def save_untrained(path: Path) -> None:
    """Write random weights of pytorch-fid's Inception network."""
    built = []
    with (
        patch.object(theirs, "load_state_dict_from_url", lambda *_, **__: {}),
        patch.object(Inception3, "load_state_dict", lambda network, _: built.append(network)),
    ):
        theirs.fid_inception_v3()
    (network,) = built
    torch.manual_seed(0)
    for layer in network.modules():
        if isinstance(layer, torch.nn.Conv2d | torch.nn.Linear):
            torch.nn.init.kaiming_normal_(layer.weight)
    path.parent.mkdir(parents=True)
    torch.save(network.state_dict(), path)


def make_files(folder: Path, images: int, seed: int) -> Path:
    """Write smooth images of many colors."""
    folder.mkdir()
    for i, coarse in enumerate(
        np.random.default_rng(seed).integers(0, 256, (images, 6, 6, 3), dtype=np.uint8)
    ):
        Image.fromarray(coarse).resize((64, 64), Image.Resampling.BICUBIC).save(folder / f"{i:05d}.png")
    return folder


def distances() -> None:
    rng = torch.Generator().manual_seed(0)
    one, other = (torch.randn((1000, 2048), generator=rng) for _ in range(2))
    covariances = [np.cov(x.double().numpy(), rowvar=False) for x in (one, other)]
    ours = median(lambda: frechet(Gaussian.of(one), Gaussian.of(other)), rounds=5)
    root = median(lambda: linalg.sqrtm(covariances[0] @ covariances[1]), rounds=1)
    print("Fréchet distance of 1000 and 1000 features in 2048 dimensions:")
    print(f"  ours                      {ours:8.2f} s")
    print(f"  scipy's sqrtm alone       {root:8.2f} s: ours is {root / ours:.0f} times as fast")


def median(call: Callable[[], object], rounds: int) -> float:
    times = []
    for _ in range(rounds):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def faces(folder: Path, home: Path) -> None:
    start = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "hw2core", "judge", "faces", str(folder.resolve())],
        cwd=home / "workspace",
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=True,
    )
    print(f"hw2 judge faces: {time.perf_counter() - start:.1f} s")
    print("  " + done.stdout.strip().replace("\n", "\n  "))


if __name__ == "__main__":
    main()
