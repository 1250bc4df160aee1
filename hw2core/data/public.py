"""The public datasets: addresses and checksums of their files, and the images made from them."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import numpy as np

from hw2core.data import mnistm
from hw2core.data.fetch import Remote
from hw2core.data.formats import (
    decompress_gzip,
    read_attributes,
    read_idx,
    read_partition,
    read_photos,
    read_svhn,
    read_usps,
)
from hw2core.data.frames import Frame, crop_mnistm, describe, frame_all, resize_digit, square_face
from hw2core.data.pictures import read_pictures
from hw2core.data.trees import open_tree
from hw2core.engine.images import ImageData, Split
from hw2core.settings.models import Public

T = TypeVar("T")


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def idx_contents(path: Path) -> str:
    return sha256(decompress_gzip(path))


def usps_contents(path: Path) -> str:
    images, labels = read_usps(path)
    return sha256(images.tobytes() + labels.tobytes())


def photos_contents(path: Path) -> str:
    names = mnistm.photo_names()
    photos = zip(names, read_photos(path, names), strict=True)
    return sha256(b"".join(name.encode() + hashlib.sha256(photo).digest() for name, photo in photos))


def mnist_file(name: str, published: str, contents: str) -> Remote:
    bases = (
        "https://ossci-datasets.s3.amazonaws.com/mnist/",
        "https://storage.googleapis.com/cvdf-datasets/mnist/",
        "http://yann.lecun.com/exdb/mnist/",
    )
    addresses = tuple(f"{base}{name}" for base in bases)
    return Remote(name, "mnist", addresses, f"sha256:{published}", idx_contents, f"sha256:{contents}")


def usps_file(name: str, published: str, contents: str) -> Remote:
    address = f"https://www.csie.ntu.edu.tw/~cjlin/libsvmtools/datasets/multiclass/{name}"
    return Remote(name, "usps", (address,), f"md5:{published}", usps_contents, f"sha256:{contents}")


def svhn_file(name: str, published: str) -> Remote:
    return Remote(name, "svhn", (f"http://ufldl.stanford.edu/housenumbers/{name}",), f"sha256:{published}")


def celeba_file(name: str, drive: str, published: str) -> Remote:
    address = f"https://drive.usercontent.google.com/download?id={drive}&export=download&confirm=t"
    return Remote(name, "celeba", (address,), f"md5:{published}")


MNIST = (
    mnist_file(
        "train-images-idx3-ubyte.gz",
        "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    ),
    mnist_file(
        "train-labels-idx1-ubyte.gz",
        "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    ),
    mnist_file(
        "t10k-images-idx3-ubyte.gz",
        "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    ),
    mnist_file(
        "t10k-labels-idx1-ubyte.gz",
        "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
    ),
)
USPS = (
    usps_file(
        "usps.bz2",
        "ec16c51db3855ca6c91edd34d0e9b197",
        "c7d362f95bd80d0afcbc36dbfd4fbe20c3e2d877a2f68dadae084344bd604e81",
    ),
    usps_file(
        "usps.t.bz2",
        "8ea070ee2aca1ac39742fdd1ef5ed118",
        "185e26cae14d8fdafa9c34761ba2b8a21726f6cc2ab399709089bb6652a6cab3",
    ),
)
SVHN = (
    svhn_file("train_32x32.mat", "435e94d69a87fde4fd4d7f3dd208dfc32cb6ae8af2240d066de1df7508d083b8"),
    svhn_file("test_32x32.mat", "cdce80dfb2a2c4c6160906d0bd7c68ec5a99d7ca4831afa54f09182025b6a75b"),
)
SVHN_EXTRA = svhn_file("extra_32x32.mat", "a133a4beb38a00fcdda90c9489e0c04f900b660ce8a316a5e854838379a71eb3")
BSDS500 = Remote(
    "BSR_bsds500.tgz",
    "bsds500",
    (
        "https://www2.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/BSR/BSR_bsds500.tgz",
        "http://www.eecs.berkeley.edu/Research/Projects/CS/vision/grouping/BSR/BSR_bsds500.tgz",
    ),
    # No checksum of the archive is published. The checksum of the 200 photos in use identifies it.
    "",
    photos_contents,
    "sha256:e83930965270f23326171f68f45910225d7527dca4429c962175645397e81f11",
)
CELEBA = (
    celeba_file("img_align_celeba.zip", "0B7EVK8r0v71pZjFTYXZWM3FlRnM", "00d2c5bc6d35e252742224ab0c1e8fcb"),
    celeba_file("list_attr_celeba.txt", "0B7EVK8r0v71pblRyaVFSWGxPY0U", "75e246fa4810816ffd6ee81facbd244c"),
    celeba_file(
        "list_eval_partition.txt", "0B7EVK8r0v71pY0NSMzRuSXJEVkk", "d32c9cbf5e040fd4025c592c306e6668"
    ),
)

CELEBA_ATTRIBUTES = (
    "5_o_Clock_Shadow Arched_Eyebrows Attractive Bags_Under_Eyes Bald Bangs Big_Lips Big_Nose Black_Hair Blond_Hair "
    "Blurry Brown_Hair Bushy_Eyebrows Chubby Double_Chin Eyeglasses Goatee Gray_Hair Heavy_Makeup High_Cheekbones Male "
    "Mouth_Slightly_Open Mustache Narrow_Eyes No_Beard Oval_Face Pale_Skin Pointy_Nose Receding_Hairline Rosy_Cheeks "
    "Sideburns Smiling Straight_Hair Wavy_Hair Wearing_Earrings Wearing_Hat Wearing_Lipstick Wearing_Necklace "
    "Wearing_Necktie Young"
)


def files(dataset: str, settings: Public) -> tuple[Remote, ...]:
    """The files of a dataset."""
    return {
        "mnist": MNIST,
        "mnistm": (*MNIST, BSDS500),
        "usps": USPS,
        "svhn": (*SVHN, SVHN_EXTRA) if settings.svhn_extra else SVHN,
        "celeba": CELEBA,
    }[dataset]


def make(dataset: str, folder: Path, settings: Public) -> ImageData:
    """Make the images of a dataset from its files."""
    if dataset == "celeba":
        return make_celeba(folder, settings)
    makers: dict[str, Callable[[Path, Public], ImageData]] = {
        "mnist": make_mnist,
        "mnistm": make_mnistm,
        "usps": make_usps,
        "svhn": make_svhn,
    }
    data = makers[dataset](folder, settings)
    if settings.split == "course2022":
        about = f"{data.about}; train and test pooled and split again by the course's rule of 2022"
        return replace(data, splits=split_of_2022(data.splits, dataset, settings.seed), about=about)
    return data


def make_mnist(folder: Path, settings: Public) -> ImageData:
    return ImageData(
        framed(mnist_splits(folder), resize_digit),
        "MNIST, 28x28 as published, gray repeated in three channels",
    )


def mnist_splits(folder: Path) -> dict[str, Split]:
    """MNIST unchanged, (n, 28, 28)."""
    train_images, train_labels, test_images, test_labels = (
        reading(folder / file.name, read_idx) for file in MNIST
    )
    return {"train": Split(train_images, train_labels), "test": Split(test_images, test_labels)}


def make_mnistm(folder: Path, settings: Public) -> ImageData:
    names = mnistm.photo_names()
    photos = mnistm.decode(reading(folder / BSDS500.name, partial(read_photos, names=names)))
    mnist = mnist_splits(folder)
    if settings.mnistm == "course":
        about = "MNIST-M as in the course: every MNIST digit blended into a 28x28 crop of BSDS500's training photos"
        return ImageData(mnistm.blend_with_seed(mnist, photos, settings.seed), about)
    frame = crop_mnistm if settings.mnistm_frame == "crop" else resize_digit
    archive = mnistm.rebuild(mnist, photos)
    md5 = mnistm.md5_of(archive)
    same = (
        "bit for bit"
        if md5 == mnistm.ARCHIVE_MD5
        else "but not bit for bit, because this machine decodes JPEG differently"
    )
    about = f"MNIST-M, the images of the archive rebuilt {same}; {describe(frame, [(32, 32)], gray=False)}"
    return ImageData(framed(archive, frame), about, checksums=md5)


def make_usps(folder: Path, settings: Public) -> ImageData:
    train, test = (Split(*reading(folder / file.name, read_usps)) for file in USPS)
    return ImageData(
        framed({"train": train, "test": test}, resize_digit),
        f"USPS, {describe(resize_digit, [(16, 16)], gray=True)}",
    )


def make_svhn(folder: Path, settings: Public) -> ImageData:
    train, test, *extra = (Split(*reading(folder / file.name, read_svhn)) for file in files("svhn", settings))
    which = "cropped digits with the extra set" if settings.svhn_extra else "cropped digits"
    return ImageData(
        framed({"train": pool([train, *extra]), "test": test}, resize_digit),
        f"SVHN, {which}, {describe(resize_digit, [(32, 32)], gray=False)}",
    )


def make_celeba(folder: Path, settings: Public) -> ImageData:
    archive, attribute_file, partition_file = (folder / file.name for file in CELEBA)
    attributes, attributes_of = reading(attribute_file, read_attributes)
    partition = reading(partition_file, read_partition)
    tree = open_tree(archive)
    splits = {}
    for name, number, count in (("train", 0, settings.celeba_train), ("test", 2, settings.celeba_test)):
        images = [image for image, part in partition.items() if part == number][:count]
        pictures = read_pictures(tree, [f"img_align_celeba/{image}" for image in images], square_face)
        splits[name] = Split(pictures.images, np.stack([attributes_of[image] for image in images]))
    about = (
        "CelebA, aligned photos, the first ones of its training and test sets, "
        f"{describe(square_face, pictures.sizes, pictures.gray)}"
    )
    return ImageData(splits, about, attributes)


def contents(name: str, settings: Public) -> tuple[dict[str, int] | None, list[str] | None]:
    """The number of images of each split, where the settings say it, and the face attributes."""
    if name != "celeba":
        return None, None
    return {"train": settings.celeba_train, "test": settings.celeba_test}, CELEBA_ATTRIBUTES.split()


def reading(path: Path, read: Callable[[Path], T]) -> T:
    """Call `read`, and add the file name to its error message."""
    try:
        return read(path)
    except ValueError as error:
        raise ValueError(f"{path.name}: {error}") from None


def framed(splits: dict[str, Split], frame: Frame) -> dict[str, Split]:
    return {name: Split(frame_all(split.images, frame), split.labels) for name, split in splits.items()}


def pool(splits: list[Split]) -> Split:
    return Split(
        np.concatenate([split.images for split in splits]), np.concatenate([split.labels for split in splits])
    )


def split_of_2022(splits: dict[str, Split], dataset: str, seed: int) -> dict[str, Split]:
    """The course's rule of 2022: pool train and test, keep 80 %, split these 80 to 20, rounding down each time.

    The course's random numbers are not known; the seed gives other ones.
    """
    whole = pool(list(splits.values()))
    rng = np.random.default_rng([seed, *f"split/{dataset}".encode()])
    order = rng.permutation(len(whole))
    kept = len(whole) * 8 // 10
    train = kept * 8 // 10
    return {
        name: Split(whole.images[part], whole.labels[part])
        for name, part in (("train", order[:train]), ("test", order[train:kept]))
    }
