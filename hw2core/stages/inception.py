"""Stage download_inception: the weights of FID's Inception network."""

import json

from hw2core.data.fetch import Remote, fetch_files
from hw2core.files import sha256_of, write_whole
from hw2core.layout import Layout
from hw2core.settings import Params, inception
from hw2core.settings.inception import FILE, OFFICIAL, cached_weights

ADDRESS = "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"


def download_inception(params: Params, layout: Layout) -> None:
    """Fetch the weights if params ask for them, and note in about.json whether they did."""
    folder = layout.inception
    folder.mkdir(parents=True, exist_ok=True)
    wanted = params.evaluation.faces.inception == OFFICIAL
    if wanted:
        cache = cached_weights().parent
        fetch_files([inception_remote()], folder, params.data.mirror, [layout.root / "data" / "raw", cache])
    about = {"weights": FILE, "sha256": sha256_of(folder / FILE)} if wanted else {"weights": None}
    write_whole(folder / "about.json", f"{json.dumps(about)}\n".encode())


def inception_remote() -> Remote:
    """The published file. Of its SHA-256 only the first digits are published, in its name."""
    return Remote(
        name=FILE,
        group="inception",
        addresses=(ADDRESS + FILE,),
        checksum="",
        contents=lambda file: sha256_of(file)[: len(inception.PUBLISHED)],
        contents_checksum=inception.PUBLISHED,
    )
