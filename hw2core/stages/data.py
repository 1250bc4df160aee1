"""Stages download and preprocess: a dataset's raw material, and the images the networks read."""

from hw2core.data import store
from hw2core.data.catalog import find
from hw2core.errors import UserError
from hw2core.layout import Layout
from hw2core.params import Params


def download(params: Params, layout: Layout, dataset: str) -> None:
    find(params.data, dataset, layout.root).fetch(layout.raw(dataset))


def preprocess(params: Params, layout: Layout, dataset: str) -> None:
    made = find(params.data, dataset, layout.root)
    raw = layout.raw(dataset)
    if not raw.is_dir():
        raise UserError(f"data/raw/{dataset}: not there; `dvc repro download@{dataset}` brings it")
    try:
        data = made.make(raw)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(
            f"data/raw/{dataset}: not usable ({error}); `dvc repro -f download@{dataset}` brings it anew"
        ) from None
    store.write(
        layout.ready(dataset), data, {"name": dataset, "source": made.source, "settings": made.settings}
    )
