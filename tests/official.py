"""Small versions of the published datasets in their official formats, with their checksums."""

import bz2
import gzip
import hashlib
import io
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image
from pytorch_fid import inception as pytorch_fid
from scipy.io import savemat
from torch import nn
from torchvision.models.inception import Inception3

from hw2core.data import mnistm, public
from hw2core.data.fetch import Remote
from hw2core.engine.images import Split

PHOTOS = ("100.jpg", "200.jpg")
COUNTS = {"train": 20, "test": 10}


def random_digits(side: int, count: int, *, channels: int = 0, seed: int = 0) -> Split:
    """Images of noise with labels 0 to 9, repeated."""
    shape = (count, side, side, channels) if channels else (count, side, side)
    images = np.random.default_rng([seed, side, count]).integers(0, 256, shape, dtype=np.uint8)
    return Split(images, (np.arange(count) % 10).astype(np.uint8))


def idx(array: NDArray[np.uint8]) -> bytes:
    return bytes((0, 0, 8, array.ndim)) + np.array(array.shape, ">u4").tobytes() + array.tobytes()


def usps_lines(split: Split) -> bytes:
    """LIBSVM lines with values in steps of 0.001, as in the official files, that decode to exactly these images."""
    steps = np.ceil(split.images.reshape(len(split), -1) / 255 * 2000) / 1000 - 1
    return b"\n".join(
        f"{label + 1} ".encode() + " ".join(f"{i}:{value:g}" for i, value in enumerate(row, 1)).encode()
        for label, row in zip(split.labels, steps, strict=True)
    )


def svhn(split: Split) -> bytes:
    file = io.BytesIO()
    labels = np.where(split.labels == 0, 10, split.labels)[:, None]
    savemat(file, {"X": split.images.transpose(1, 2, 3, 0), "y": labels})
    return file.getvalue()


def photo(seed: int) -> bytes:
    """A JPEG of noise, 60x50 or 50x60 pixels."""
    shape = (60, 50, 3) if seed % 2 else (50, 60, 3)
    noise = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    file = io.BytesIO()
    Image.fromarray(noise).save(file, "JPEG")
    return file.getvalue()


def tar(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return file.getvalue()


def celeba() -> dict[str, bytes]:
    """Twelve photos: eight for training, one for validation, three for testing."""
    names = [f"{i:06d}.jpg" for i in range(1, 13)]
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        for seed, name in enumerate(names):
            file.writestr(f"img_align_celeba/{name}", photo(seed))
    parts = [0] * 8 + [1] + [2] * 3
    rows = "".join(f"{name} {' 1' if i % 2 else '-1'}  1\n" for i, name in enumerate(names))
    return {
        "img_align_celeba.zip": archive.getvalue(),
        "list_attr_celeba.txt": f"12\nMale Smiling \n{rows}".encode(),
        "list_eval_partition.txt": "".join(f"{n} {p}\n" for n, p in zip(names, parts, strict=True)).encode(),
    }


def mnist_splits() -> dict[str, Split]:
    return {name: random_digits(28, count) for name, count in COUNTS.items()}


def usps_splits() -> dict[str, Split]:
    return {name: random_digits(16, count) for name, count in COUNTS.items()}


def svhn_splits() -> dict[str, Split]:
    return {name: random_digits(32, count, channels=3) for name, count in (*COUNTS.items(), ("extra", 30))}


def every_file() -> dict[str, bytes]:
    """The files of all published datasets, by name."""
    mnist, usps, svhns = mnist_splits(), usps_splits(), svhn_splits()
    return {
        **{
            f"{prefix}-{kind}-ubyte.gz": gzip.compress(idx(array), mtime=0)
            for split, prefix in (("train", "train"), ("test", "t10k"))
            for kind, array in (("images-idx3", mnist[split].images), ("labels-idx1", mnist[split].labels))
        },
        "usps.bz2": bz2.compress(usps_lines(usps["train"])),
        "usps.t.bz2": bz2.compress(usps_lines(usps["test"])),
        **{f"{name}_32x32.mat": svhn(split) for name, split in svhns.items()},
        "BSR_bsds500.tgz": tar(
            {
                "BSR/BSDS500/data/groundTruth/train/100.mat": b"not a photo",
                **{f"BSR/BSDS500/data/images/train/{n}": photo(i) for i, n in enumerate(PHOTOS)},
            }
        ),
        **celeba(),
    }


def publish(patch: pytest.MonkeyPatch, files: dict[str, bytes]) -> None:
    """Set the checksums of the catalog to those of these files."""

    def pinned(remote: Remote) -> Remote:
        checksum = f"sha256:{hashlib.sha256(files[remote.name]).hexdigest()}"
        return replace(remote, checksum=checksum, contents_checksum="sha256:none", addresses=())

    for name in ("MNIST", "USPS", "SVHN", "CELEBA"):
        patch.setattr(public, name, tuple(pinned(remote) for remote in getattr(public, name)))
    for name in ("SVHN_EXTRA", "BSDS500"):
        patch.setattr(public, name, pinned(getattr(public, name)))
    patch.setattr(mnistm, "crops_table", crops_table)


def crops_table() -> dict[str, NDArray[np.generic]]:
    """A table of crops for one image less than there are digits, as in the archive."""
    table: dict[str, NDArray[np.generic]] = {"photos": np.array(PHOTOS)}
    for name, count in COUNTS.items():
        rng = np.random.default_rng(count)
        table[f"{name}_photo"] = rng.integers(0, 2, count - 1).astype(np.uint8)
        table[f"{name}_y"] = rng.integers(0, 18, count - 1).astype(np.int16)
        table[f"{name}_x"] = rng.integers(0, 18, count - 1).astype(np.int16)
    return table


def write(files: dict[str, bytes], folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def packed_anew(name: str, content: bytes) -> bytes:
    """The same content compressed differently, as a mirror may provide it."""
    if name.endswith(".gz"):
        return gzip.compress(gzip.decompress(content), 1, mtime=1)
    return bz2.compress(bz2.decompress(content) + b"\n", 1)


def untrained_inception() -> dict[str, torch.Tensor]:
    """Random weights for pytorch-fid's network. The initialization keeps the features of images different."""
    networks = []
    with (
        patch.object(pytorch_fid, "load_state_dict_from_url", lambda *_, **__: {}),
        patch.object(Inception3, "load_state_dict", lambda network, _: networks.append(network)),
    ):
        pytorch_fid.fid_inception_v3()
    (network,) = networks
    rng = torch.Generator().manual_seed(0)
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, generator=rng)
    return dict(network.state_dict())
