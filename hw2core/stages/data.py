"""Stages download and preprocess: a dataset's raw files, and the images that networks read."""

from hw2core.data.catalog import find
from hw2core.engine import images
from hw2core.errors import UserError
from hw2core.layout import Layout
from hw2core.settings import Params


def download(params: Params, layout: Layout, dataset: str) -> None:
    find(params.data, dataset, layout.root).fetch(layout.raw(dataset))


def preprocess(params: Params, layout: Layout, dataset: str) -> None:
    dataset_source = find(params.data, dataset, layout.root)
    raw = layout.raw(dataset)
    if not raw.is_dir():
        raise UserError(f"data/raw/{dataset}: not there; `hw2 repro` downloads it")
    try:
        data = dataset_source.make(raw)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(
            f"data/raw/{dataset}: not usable ({error}); delete that folder, and `hw2 repro` downloads it again"
        ) from None
    facts = {"name": dataset, "source": dataset_source.source, "settings": dataset_source.settings}
    images.write(layout.ready(dataset), data, facts)
