"""`hw2 check`: what can be known before anything runs. Every problem that would stop a stage hours later is a line now."""

import shutil
from collections.abc import Collection, Iterator, Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

from hw2core.data.catalog import Contents, find
from hw2core.data.frames import DIGIT, FACE
from hw2core.engine.images import SPLITS, find_attribute, missing_attribute, read_about
from hw2core.errors import UserError
from hw2core.layout import Layout
from hw2core.pipeline.repository import Repository
from hw2core.pipeline.slots import visible_gpus
from hw2core.settings import Params
from hw2core.settings.inception import OFFICIAL
from hw2core.settings.runs import datasets_of
from hw2core.settings.systems import Training

GB = 10**9
SPARE = 2 * GB
"""Disk space for weights, pictures, checkpoints and what else a run writes."""
COPIES = 3
"""How often an image is on the disk: raw, ready, and in DVC's cache."""

STAGES_OF_FACES = ("train_acgan@faces", "evaluate_acgan@faces")
"""Of ACGAN: they need an attribute of each face."""


class Found(NamedTuple):
    """What the datasets hold, and what is skipped for lack of it."""

    contents: dict[str, Contents]
    skipped: dict[str, str]
    """The first letters of stage names, each with the reason."""


def check(
    params: Params,
    layout: Layout,
    ready: Collection[str] = (),
    local: bool = True,
    datasets: Collection[str] | None = None,
) -> Found:
    """Check params against the datasets, if not all then these, and the machine; a UserError has a line for each problem.

    Datasets that are `ready` are read from data/ready, all others where they come from. A run that is not `local` takes
    place on other machines, of which nothing is known.
    """
    problems: list[str] = []
    names = [name for name in datasets_of(params) if datasets is None or name in datasets]
    contents = {name: contents_of(params, layout, name, ready, problems) for name in names}
    known = {name: found for name, found in contents.items() if found}
    faces = known.get(params.data.faces)
    skipped = {}
    if "faces" in params.conditional.acgan and faces:
        if not faces.attributes:
            reason = f"{params.data.faces} has no attributes, and ACGAN on faces is conditioned on one"
            skipped = dict.fromkeys(STAGES_OF_FACES, reason)
        elif find_attribute(faces.attributes, attribute := params.acgan.faces.attribute) is None:
            problems.append(missing_attribute(params.data.faces, attribute, faces.attributes))
    problems += [
        *size_problems(params),
        *count_problems(params, {name: found.counts for name, found in known.items() if found.counts}),
        *file_problems(params),
        *(machine_problems(params, layout, known, ready) if local else ()),
    ]
    if problems:
        raise UserError("\n".join(problems))
    return Found(known, skipped)


def check_stale(
    params: Params,
    layout: Layout,
    repository: Repository,
    todo: list[str],
    local: bool = True,
    part: bool = False,
) -> Found:
    """Check before the stages `todo` run: data/ready is right of those datasets that no stage makes again.

    If they are only a part of what is stale, check only the datasets that they make or read.
    """
    made = {repository.stages[name].cmd.rpartition(" ")[2] for name in todo if name.startswith("preprocess")}
    ready = [name for name in datasets_of(params) if name not in made]
    paths = {path for name in todo for path in (*repository.outputs(name), *repository.inputs(name))}
    used = {Path(path).name for path in paths if Path(path).parent.parent == Path("data")}
    return check(params, layout, ready, local, used if part else None)


def contents_of(
    params: Params, layout: Layout, name: str, ready: Collection[str], problems: list[str]
) -> Contents | None:
    """The contents of a dataset; None, and lines added to `problems`, if it cannot be read."""
    try:
        if name in ready:
            about = read_about(layout.ready(name))
            counts = {split: about["counts"][split]["images"] for split in SPLITS}
            return Contents(counts, about.get("attributes"))
        return find(params.data, name, layout.root).inspect()
    except UserError as error:
        problems += [f"{name}: {line}" for line in str(error).splitlines()]
        return None


def trainings_of_faces(params: Params) -> dict[str, Training]:
    found = {name: getattr(params, name) for name in (*params.gans, *params.autoencoders)}
    if "faces" in params.conditional.acgan:
        found["acgan.faces"] = params.acgan.faces
    return found | ({"face_features": params.face_features} if params.extractors.faces else {})


def trainings_of_digits(params: Params) -> dict[str, Training]:
    found: dict[str, Training] = {}
    if "digits" in params.conditional.acgan:
        found["acgan.digits"] = params.acgan.digits
    return found | ({"ddpm": params.ddpm} if params.conditional.ddpm else {})


def size_problems(params: Params) -> Iterator[str]:
    for name, settings in trainings_of_faces(params).items():
        if (size := getattr(settings, "size", FACE)) != FACE:
            yield f"{name}.size: the faces of every dataset are {FACE}x{FACE}, not {size}x{size}"


def count_problems(params: Params, counts: Mapping[str, Mapping[str, int]]) -> Iterator[str]:
    """Batches, validation images and t-SNE against the number of images."""
    needs = [
        *((params.data.faces, name, one.batch) for name, one in trainings_of_faces(params).items()),
        *((params.data.digits, name, one.batch) for name, one in trainings_of_digits(params).items()),
        *((domain, "classifier", params.classifier.batch) for domain in params.data.domains),
        *(
            (domain, method, getattr(params, method).batch)
            for pair in params.pairs.values()
            for domain in (pair.source, pair.target)
            for method in params.adapters
        ),
    ]
    for dataset, name, batch in dict.fromkeys(needs):
        images = counts.get(dataset, {}).get("train", batch)
        if batch > images:
            yield f"{name}.batch: must be at most the {images} training images of {dataset}, not {batch}"
    for pair in params.pairs.values() if params.adapters else ():
        shown = [
            min(params.tsne.images_per_domain, counts[domain]["test"])
            for domain in (pair.source, pair.target)
            if domain in counts
        ]
        if len(shown) == 2 and params.tsne.perplexity >= sum(shown):
            yield (
                f"tsne.perplexity: must be less than the {sum(shown)} test images shown of {pair.source} and "
                f"{pair.target}, not {params.tsne.perplexity:g}"
            )


def file_problems(params: Params) -> Iterator[str]:
    for key, value in (
        ("evaluation.digits.checkpoint", params.evaluation.digits.checkpoint),
        ("evaluation.faces.inception", params.evaluation.faces.inception),
    ):
        if value and value != OFFICIAL and not Path(value).expanduser().is_file():
            yield f"{key}: {value} is not there; name a file, or null to do without"


def machine_problems(
    params: Params, layout: Layout, known: Mapping[str, Contents], ready: Collection[str]
) -> Iterator[str]:
    if params.engine.device == "cuda" and not visible_gpus():
        yield "engine.device: cuda, but there is no GPU here; auto or cpu runs on the CPU"
    if params.engine.tensorboard and find_spec("tensorboard") is None:
        yield "engine.tensorboard: needs the package tensorboard: pip install hw2core[tensorboard]"
    need = SPARE + sum(
        COPIES * sum(found.counts.values()) * (DIGIT if found.attributes is None else FACE) ** 2 * 3
        for name, found in known.items()
        if name not in ready and found.counts
    )
    free = shutil.disk_usage(layout.root).free
    if free < need:
        yield f"{layout.root}: {free / GB:.1f} GB of disk are free, and about {need / GB:.1f} GB are needed"


def lines(found: Found) -> Iterator[str]:
    """What `hw2 check` prints."""
    for name, (counts, attributes) in found.contents.items():
        kind = "digits" if attributes is None else "faces"
        number = f"{counts['train']:,} training and {counts['test']:,} test images" if counts else "images"
        named = f", {len(attributes)} attributes: {', '.join(attributes)}" if attributes else ""
        yield f"{name}: {number} of {kind}{named}"
    for stage, reason in found.skipped.items():
        yield f"{stage} is skipped: {reason}"
    yield "`hw2 repro` can run."
