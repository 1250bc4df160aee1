"""Checks between keys of params.yaml. They read the raw values, so that one wrong type elsewhere does not hide them."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from hw2core.settings.models import GeneratorSeeds
from hw2core.settings.registry import (
    ADAPTERS,
    AUTOENCODERS,
    DATASETS,
    DRAWN_FACES,
    FACES,
    GANS,
    TRAININGS,
)
from hw2core.settings.systems import Acgans

Raw = dict[str, Any]


def cross_checks(raw: Raw) -> Iterator[str]:
    yield from repetitions(raw)
    yield from sources(raw)
    yield from domains(raw)
    yield from pairs(raw)
    yield from systems(raw)
    yield from warmups(raw)
    yield from counts(raw)


def repetitions(raw: Raw) -> Iterator[str]:
    """A list that names what is run, or on what, names it once."""
    for path in (
        *("data.domains", "data.color_jitter", "seeds", "adapters", "gans", "autoencoders"),
        *("conditional.acgan", "conditional.ddpm", "extractors.digits", "extractors.faces"),
        *(f"generation.seeds.{kind}" for kind in GeneratorSeeds.model_fields),
    ):
        *parents, key = path.split(".")
        holder = raw
        for parent in parents:
            holder = section(holder, parent)
        values = holder.get(key)
        if isinstance(values, list):
            counts = Counter(v if isinstance(v, str | int | float) else repr(v) for v in values)
            for value in sorted({str(v) for v, count in counts.items() if count > 1}):
                yield f"{path}: {value} is listed twice"


def sources(raw: Raw) -> Iterator[str]:
    data = section(raw, "data")
    used = [*names(data.get("domains")), *(names([data.get("faces")]) if uses_faces(raw) else [])]
    for dataset in dict.fromkeys(used):
        paths = section(section(data, "folder"), "paths")
        problem = source_problem(data.get("source"), section(data, "course").get("path"), paths, dataset)
        if problem:
            yield problem


def domains(raw: Raw) -> Iterator[str]:
    data = section(raw, "data")
    known = names(data.get("domains"))
    for name in known:
        if name in FACES:
            yield f"data.domains: {name} is of faces; a domain is of digits"
    digit_sets = {name for datasets in DATASETS.values() for name in datasets} - set(FACES)
    for name in names([data.get("faces")]):
        if name in digit_sets:
            yield f"data.faces: {name} is of digits"
    for path, values in (
        ("data.color_jitter", names(data.get("color_jitter"))),
        ("data.digits", names([data.get("digits")]) if uses_digits(raw) else []),
    ):
        for domain in values:
            if domain not in known:
                yield f"{path}: {domain} is not among data.domains ({', '.join(known)})"


def pairs(raw: Raw) -> Iterator[str]:
    known, given = names(section(raw, "data").get("domains")), section(raw, "pairs")
    for name in given:
        source, target = (section(given, name).get(role) for role in ("source", "target"))
        if not isinstance(source, str) or not isinstance(target, str):
            continue
        strange = [(role, d) for role, d in (("source", source), ("target", target)) if d not in known]
        for role, domain in strange:
            yield f"pairs.{name}.{role}: {domain} is not among data.domains ({', '.join(known)})"
        if strange:
            continue
        if source == target:
            yield f"pairs.{name}: source and target are the same domain, {source}"
        elif name != f"{source}-{target}":
            yield f"pairs.{name}: a pair is named by its domains, {source}-{target}"


def systems(raw: Raw) -> Iterator[str]:
    """The lists of what runs name systems of their kind, and what those need."""
    for path, known in (
        ("adapters", ADAPTERS),
        ("gans", GANS),
        ("autoencoders", AUTOENCODERS),
    ):
        for name in names(raw.get(path)):
            if name not in known:
                yield f"{path}: unknown system {name}; there are: {', '.join(known)}"
    extractors = section(raw, "extractors")
    if generates_faces(raw) and extractors.get("faces") == []:
        yield "extractors.faces: must name face_features, since gans, autoencoders or conditional generate faces"
    if generates_digits(raw) and extractors.get("digits") == []:
        yield "extractors.digits: must name classifier, since conditional generates digits"


def warmups(raw: Raw) -> Iterator[str]:
    trained = {name: section(raw, name) for name in TRAININGS}
    trained |= {f"acgan.{item}": section(section(raw, "acgan"), item) for item in Acgans.model_fields}
    for name, settings in trained.items():
        warmup, steps = section(settings, "lr_schedule").get("warmup_steps"), settings.get("steps")
        if isinstance(warmup, int) and isinstance(steps, int) and warmup > steps > 0:
            yield f"{name}.lr_schedule.warmup_steps: must be at most the {steps} of {name}.steps, not {warmup}"


def counts(raw: Raw) -> Iterator[str]:
    n_critic, batch = (section(raw, "sngan_gp").get(key) for key in ("n_critic", "batch"))
    if isinstance(n_critic, int) and isinstance(batch, int) and batch < 2 * n_critic:
        yield f"sngan_gp.batch: must give each of the {n_critic} of sngan_gp.n_critic two images, not {batch}"
    perplexity, images = (section(raw, "tsne").get(key) for key in ("perplexity", "images_per_domain"))
    if isinstance(perplexity, int | float) and isinstance(images, int) and perplexity >= 2 * images:
        yield (
            f"tsne.perplexity: must be less than the {2 * images} points, 2 x tsne.images_per_domain, "
            f"not {perplexity}"
        )


def generates_faces(raw: Raw) -> bool:
    conditional = names(section(raw, "conditional").get("acgan"))
    return bool(raw.get("gans") or raw.get("autoencoders") or "faces" in conditional)


def uses_faces(raw: Raw) -> bool:
    return generates_faces(raw) or bool(section(raw, "extractors").get("faces"))


def generates_digits(raw: Raw) -> bool:
    conditional = section(raw, "conditional")
    return bool(conditional.get("ddpm")) or "digits" in names(conditional.get("acgan"))


def uses_digits(raw: Raw) -> bool:
    return generates_digits(raw) or bool(section(raw, "extractors").get("digits"))


def section(raw: Raw, key: str) -> Raw:
    value = raw.get(key)
    return value if isinstance(value, dict) else {}


def names(values: Any) -> list[str]:
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []


def source_of(source: Any, dataset: str) -> Any:
    """The source of a dataset. Drawn faces are always made on this machine, whatever the source of the digits."""
    if dataset == DRAWN_FACES:
        return "embedded"
    return source.get(dataset) if isinstance(source, dict) else source


def source_problem(source: Any, course_path: Any, folder_paths: dict[str, Any], dataset: str) -> str | None:
    """Why a dataset cannot come from where data.source says, if so."""
    if isinstance(source, dict) and dataset not in (*source, DRAWN_FACES):
        return f"data.source: does not say where {dataset} comes from"
    source = source_of(source, dataset)
    if isinstance(source, str) and source in DATASETS and dataset not in DATASETS[source]:
        others = [name for name, datasets in DATASETS.items() if dataset in datasets]
        remedy = " or ".join(others) if others else "folder, and data.folder.paths"
        return f"data.source: {source} has no {dataset}, only {', '.join(DATASETS[source])}; {dataset} needs {remedy}"
    if source == "course" and course_path is None:
        return f"data.course.path: must name the course's folder, since {dataset} comes from there"
    if source == "folder" and dataset not in folder_paths:
        return f"data.folder.paths: must name the folder that {dataset} comes from"
    return None
