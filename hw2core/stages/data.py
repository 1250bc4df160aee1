"""Stages download and preprocess: a dataset's raw material, and the images the networks read."""

from hw2core.data import store
from hw2core.data.catalog import EMBEDDED
from hw2core.errors import UserError
from hw2core.files import new_folder
from hw2core.layout import Layout
from hw2core.params import Params
from hw2core.stages.names import check_domain


def download(params: Params, layout: Layout, dataset: str) -> None:
    check_domain(params, dataset)
    with new_folder(layout.raw(dataset)) as folder:
        EMBEDDED[dataset].fetch(folder)


def preprocess(params: Params, layout: Layout, dataset: str) -> None:
    check_domain(params, dataset)
    raw = layout.raw(dataset)
    if not raw.is_dir():
        raise UserError(f"data/raw/{dataset}: not there; `dvc repro download@{dataset}` brings it")
    made = EMBEDDED[dataset]
    try:
        splits = made.make(raw, params.data.embedded)
    except (OSError, ValueError, EOFError) as error:
        raise UserError(
            f"data/raw/{dataset}: not usable ({error}); `dvc repro -f download@{dataset}` brings it anew"
        ) from None
    settings = params.data.embedded.model_dump()
    store.write(
        layout.ready(dataset),
        splits,
        {"name": dataset, "source": params.data.source, "made": made.about, "settings": settings},
    )
