"""params.yaml as typed, validated models.

Every key is required, so that no result depends on a default that DVC cannot see. What is wrong is
said all at once, a line for each problem with the key's full path.
"""

import difflib
from pathlib import Path
from typing import IO, Annotated, Any, Literal, get_args

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, Tag, ValidationError
from pydantic_core import ErrorDetails
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from hw2core.errors import UserError


def refuse_boolean(value: Any) -> Any:
    """`steps: yes` is a slip, not 1."""
    if isinstance(value, bool):
        raise ValueError("must be a number")
    return value


Int = Annotated[int, BeforeValidator(refuse_boolean)]
Float = Annotated[float, BeforeValidator(refuse_boolean)]
Seed = Annotated[Int, Field(ge=0, lt=2**31)]
Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)]
Source = Literal["embedded", "public", "course", "folder"]

DATASETS: dict[Source, tuple[str, ...]] = {
    "embedded": ("handwritten", "blended", "printed", "drawn_faces"),
    "public": ("mnist", "mnistm", "usps", "svhn", "celeba"),
    "course": ("mnistm", "usps", "svhn", "celeba"),
}
"""What each source has; data.folder.paths names what comes from folders."""
DRAWN_FACES = "drawn_faces"
FACES = (DRAWN_FACES, "celeba")
"""Those of them that are of faces; all others are of digits."""


class Section(BaseModel):
    """A part of params.yaml: nothing unknown in it, nothing changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class Engine(Section):
    device: Literal["auto", "cpu", "cuda"]
    threads: Int = Field(ge=1, le=1024)
    precision: Literal["fp32", "bf16"]
    channels_last: bool
    compile: bool
    evaluate_every: Int = Field(ge=1)
    checkpoint_every: Int = Field(ge=1)


class Embedded(Section):
    seed: Seed
    train: Int = Field(ge=100, le=1_000_000)
    test: Int = Field(ge=100, le=1_000_000)
    faces_train: Int = Field(ge=100, le=1_000_000)
    faces_test: Int = Field(ge=100, le=1_000_000)


class Public(Section):
    mnistm: Literal["original", "course"]
    mnistm_frame: Literal["crop", "resize"]
    svhn_extra: bool
    celeba_train: Int = Field(ge=1)
    celeba_test: Int = Field(ge=1)
    split: Literal["published", "course2022"]
    seed: Seed


class Course(Section):
    path: str | None


class Folder(Section):
    paths: dict[Name, str]
    test: Float = Field(gt=0, lt=1)


class Data(Section):
    source: Annotated[
        Annotated[Source, Tag("of all")] | Annotated[dict[Name, Source], Tag("of each")],
        Discriminator(lambda value: "of each" if isinstance(value, dict) else "of all"),
    ]
    domains: list[Name] = Field(min_length=2)
    digits: Name
    faces: Name
    holdout: Float = Field(gt=0, lt=0.5)
    jitter: list[Name]
    mirror: str | None
    embedded: Embedded
    public: Public
    course: Course
    folder: Folder


class Pair(Section):
    source: Name
    target: Name


class Training(Section):
    """What every trained system has: how long, how much at a time, how fast."""

    steps: Int = Field(ge=1)
    batch: Int = Field(ge=2)
    lr: Float = Field(gt=0, le=10)
    beta1: Float = Field(ge=0, lt=1)
    beta2: Float = Field(ge=0, lt=1)
    weight_decay: Float = Field(ge=0, le=1)
    schedule: Literal["constant", "cosine", "linear"]
    warmup: Int = Field(ge=0)
    ema: Float = Field(ge=0, lt=1)

    def trained_by(self) -> dict[str, Any]:
        """What a training's result depends on."""
        return self.model_dump()


class Classifier(Training):
    augment: Literal["none", "weak", "strong"]


class Adapter(Training):
    """A method that is trained on pairs of domains: stage train_<method>, item a pair."""


class Dann(Adapter):
    arch: Literal["R19", "R20", "R21", "LeNet", "ResNet"]
    augment: Literal["none", "weak", "strong"]
    reversal: Float = Field(ge=0, le=100)
    reversal_schedule: Literal["ganin", "constant"]
    batches: Literal["together", "apart"]


class Adda(Adapter):
    augment: Literal["none", "weak", "strong"]
    critic: Literal["R19", "R20"]
    critic_lr: Float = Field(gt=0, le=10)
    smoothing: Float = Field(ge=0, lt=1)


class Dsn(Adapter):
    augment: Literal["none", "weak", "strong"]
    reconstruction: Float = Field(ge=0, le=100)
    difference: Float = Field(ge=0, le=100)
    similarity: Float = Field(ge=0, le=100)
    separate_from: Int = Field(ge=0)


class Adamatch(Adapter):
    classes: Literal["source", "even"]
    confidence: Float = Field(ge=0, le=1)
    target: Float = Field(ge=0, le=100)


class Generator(Training):
    """A system that draws images from noise."""

    size: Literal[32, 64, 128, 256]
    noise: Int = Field(ge=1, le=10_000)
    width: Int = Field(ge=2, le=1024)
    flips: Literal["none", "horizontal", "both"]


class Gan(Generator):
    """A generator that plays against a critic: stage train_gan, item a method."""

    critic_lr: Float = Field(gt=0, le=10)
    augment: list[Literal["colour", "translation", "cutout"]]


class Dcgan(Gan):
    smoothing: Float = Field(ge=0, lt=1)
    r1: Float = Field(ge=0, le=1000)


class Sngan(Gan):
    smoothing: Float = Field(ge=0, lt=1)


class SnganGp(Gan):
    penalty: Float = Field(ge=0, le=1000)
    critic_turns: Int = Field(ge=1, le=100)


class Stylegan2(Gan):
    widest: Int = Field(ge=2, le=4096)
    mapping: Int = Field(ge=1, le=32)
    r1: Float = Field(ge=0, le=1000)
    r1_every: Int = Field(ge=1, le=1000)
    path: Float = Field(ge=0, le=1000)
    path_every: Int = Field(ge=1, le=1000)


class R3gan(Gan):
    widest: Int = Field(ge=2, le=4096)
    depth: Int = Field(ge=1, le=16)
    r1: Float = Field(ge=0, le=1000)


class Vae(Generator):
    kl: Float = Field(ge=0, le=100)


class Sampling(Section):
    """How a trained DDPM is sampled: nothing is trained again for a change here."""

    sampler: Literal["ddpm", "ddpm_posterior", "ddim", "dpm_solver"]
    sampling_steps: Int = Field(ge=1, le=10_000)
    guidance: Float = Field(ge=0, le=100)
    skip: Float = Field(ge=0, le=1)
    eta: Float = Field(ge=0, le=1)

    def changed(self, **changes: Any) -> "Sampling":
        """The same way but for these; what they say is validated."""
        return Sampling(**self.model_dump(include=set(Sampling.model_fields)) | changes)


class Ddpm(Training, Sampling):
    arch: Literal["compact", "R22a", "R22b"]
    width: Int = Field(ge=8, le=512, multiple_of=8)
    times: Int = Field(ge=50, le=10_000)
    noise: Literal["linear", "cosine"]
    prediction: Literal["epsilon", "v"]
    unlabelled: Float = Field(ge=0, lt=1)
    min_snr: Float = Field(ge=0, le=1000)

    def trained_by(self) -> dict[str, Any]:
        return self.model_dump(exclude=set(Sampling.model_fields))


class Acgan(Training):
    arch: Literal["compact", "compact_faces", "R19", "R21", "R21_printed"]
    discriminator_lr: Float = Field(gt=0, le=10)
    labels_of: Literal["real", "both"]
    obedience: Float = Field(ge=0, le=100)
    r1: Float = Field(ge=0, le=1000)
    noise: Int = Field(ge=1, le=10_000)
    generator_width: Int = Field(ge=1, le=1024)
    discriminator_width: Int = Field(ge=1, le=1024)


class AcganOfDigits(Acgan):
    arch: Literal["compact", "R21", "R21_printed"]


class AcganOfFaces(Acgan):
    arch: Literal["compact_faces", "R19"]
    attribute: Name


class Acgans(Section):
    """What ACGAN draws: stage train_acgan, item one of these."""

    digits: AcganOfDigits
    faces: AcganOfFaces


class Sweep(Section):
    """The ways of sampling that are held against each other."""

    images: Int = Field(ge=10, le=100_000)
    sampling_steps: list[Annotated[Int, Field(ge=1, le=10_000)]] = Field(min_length=1)
    guidance: list[Annotated[Float, Field(ge=0, le=100)]] = Field(min_length=1)


class Tsne(Section):
    images: Int = Field(ge=20, le=100_000)
    perplexity: Float = Field(ge=2, le=1000)
    seed: Seed


class FaceFeatures(Training):
    """The offline judge of faces, itself trained."""

    width: Int = Field(ge=4, le=512)
    temperature: Float = Field(gt=0, le=10)


class DigitJudge(Section):
    checkpoint: str | None


class Judges(Section):
    inception: str | None
    digits: DigitJudge


class Gans(Section):
    methods: dict[Name, Name]
    """Of each method to train the file in systems/ that has it."""


class Generation(Section):
    seeds: list[Seed] = Field(min_length=1)
    images: Int = Field(ge=2, le=1_000_000)


class Report(Section):
    reference: Literal["R19", "R20", "R21", "R22a", "R22b"] | None


class Params(Section):
    seeds: list[Seed] = Field(min_length=1)
    engine: Engine
    data: Data
    pairs: dict[str, Pair] = Field(min_length=1)
    classifier: Classifier
    dann: Dann
    adda: Adda
    dsn: Dsn
    adamatch: Adamatch
    gan: Gans
    dcgan4: Dcgan
    dcgan5: Dcgan
    sngan: Sngan
    sngan_gp: SnganGp
    stylegan2: Stylegan2
    r3gan: R3gan
    vae: Vae
    acgan: Acgans
    ddpm: Ddpm
    sweep: Sweep
    face_features: FaceFeatures
    generation: Generation
    judges: Judges
    tsne: Tsne
    report: Report


ADAPTERS = tuple(
    name
    for name, field in Params.model_fields.items()
    if isinstance(field.annotation, type) and issubclass(field.annotation, Adapter)
)
"""The adaptation methods, by their section's name."""

FAMILIES = {
    "dcgan4": "dcgan",
    "dcgan5": "dcgan",
    "sngan": "sngan",
    "sngan_gp": "sngan",
    "stylegan2": "stylegan2",
    "r3gan": "r3gan",
}
"""Of each GAN the file in systems/ that has it, as gan.methods must say."""

LABELLED = {"acgan/digits": 10, "acgan/faces": 2, "ddpm": 10}
"""The generators that draw what a label says, and how many labels there are."""


def load_params(path: Path) -> Params:
    """The validated params of `path`, or a UserError that lists every problem."""
    return validate(read_yaml(path), path.name)


def read_yaml(path: Path) -> Any:
    """What a yaml file says, as plain dicts, lists and scalars (YAML 1.2: `3e-4` is a number)."""
    try:
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except UnicodeDecodeError:
        raise UserError(f"{path.name}: not a text file in UTF-8") from None
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f" line {mark.line + 1}:" if mark else ""
        problem = " ".join(str(error.problem or error.context).split())
        raise UserError(f"{path.name}:{where} not valid YAML: {problem}") from None
    except (YAMLError, ValueError) as error:  # a character or a number that no YAML may hold
        raise UserError(f"{path.name}: not valid YAML: {' '.join(str(error).split())}") from None


def write_yaml(value: Any, file: IO[str]) -> None:
    """As a person would write it: short lists in one line, null as a word. Keeps the comments of what was read by
    `YAML()`."""
    yaml = YAML()
    yaml.width = 120
    yaml.default_flow_style = None
    yaml.representer.add_representer(
        type(None), lambda writer, _: writer.represent_scalar("tag:yaml.org,2002:null", "null")
    )
    yaml.dump(value, file)


def validate(raw: Any, name: str) -> Params:
    if not isinstance(raw, dict):
        raise UserError(f"{name}: holds no keys; it must say seeds, engine, data, pairs and the systems")
    problems = [*cross_checks(raw)]
    params = None
    try:
        params = Params.model_validate(raw)
    except ValidationError as error:
        problems = [describe(detail) for detail in error.errors(include_url=False)] + problems
    if params is None or problems:
        # A quoted value may hold line breaks, but a problem is one line.
        raise UserError("\n".join(f"{name}: {' '.join(problem.split())}" for problem in problems))
    return params


def describe(error: ErrorDetails, model: type[BaseModel] = Params) -> str:
    """One line for one of pydantic's errors: the key's full path, what is wrong, what would be right."""
    path = ".".join(str(part) for part in error["loc"] if part not in ("of all", "of each"))
    if error["type"] == "extra_forbidden":
        *parents, key = error["loc"]
        known = known_keys(parents, model)
        near = difflib.get_close_matches(str(key), known, n=1, cutoff=0.5)
        meant = ".".join(map(str, [*parents, *near]))
        return f"{path}: unknown key; " + (
            f"did you mean {meant}?" if near else f"known here: {', '.join(known)}"
        )
    if error["type"] == "missing":
        return f"{path}: missing; every key must be given"
    message = (
        error["msg"].removeprefix("Value error, ").replace("Input should be", "must be").replace("'", "")
    )
    return f"{path}: {message[:1].lower()}{message[1:]}, not {shown(error['input'])}"


def known_keys(parents: list[int | str], model: type[BaseModel]) -> list[str]:
    """The keys that may stand below the section at `parents` of `model`."""
    for part in parents:
        field = model.model_fields.get(str(part))
        if field is None:  # the name of a pair, the number of a rule: all of a kind look alike
            continue
        for below in (field.annotation, *get_args(field.annotation)):
            if isinstance(below, type) and issubclass(below, BaseModel):
                model = below
    return list(model.model_fields)


def shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 40 else f"{text[:37]}..."


def cross_checks(raw: dict[str, Any]) -> list[str]:
    """Problems between keys. They are looked for in the raw values, so that one wrong type elsewhere
    does not hide them."""
    problems = []
    data = section(raw, "data")
    known, jittered = (names(data.get(key)) for key in ("domains", "jitter"))
    for values, path in (
        (known, "data.domains"),
        (raw.get("seeds"), "seeds"),
        (section(raw, "generation").get("seeds"), "generation.seeds"),
        (jittered, "data.jitter"),
    ):
        if isinstance(values, list):
            twice = sorted({str(v) for v in values if values.count(v) > 1})
            problems += [f"{path}: {value} stands there twice" for value in twice]
    faces = data.get("faces")
    for domain in dict.fromkeys([*known, *names([faces])]):
        paths = section(section(data, "folder"), "paths")
        problem = source_problem(data.get("source"), section(data, "course").get("path"), paths, domain)
        problems += [problem] if problem else []
    digits = {name for datasets in DATASETS.values() for name in datasets} - set(FACES)
    problems += [
        f"data.domains: {name} is of faces; a domain is of digits" for name in known if name in FACES
    ]
    if faces in digits:
        problems.append(f"data.faces: {faces} is of digits")
    for path, domains in (("data.jitter", jittered), ("data.digits", names([data.get("digits")]))):
        for domain in domains:
            if domain not in known:
                problems.append(f"{path}: {domain} is not among data.domains ({', '.join(known)})")
    pairs = section(raw, "pairs")
    for name in pairs:
        source, target = (section(pairs, name).get(role) for role in ("source", "target"))
        if not isinstance(source, str) or not isinstance(target, str):
            continue
        strange = [(role, d) for role, d in (("source", source), ("target", target)) if d not in known]
        if strange:
            problems += [
                f"pairs.{name}.{role}: {domain} is not among data.domains ({', '.join(known)})"
                for role, domain in strange
            ]
        elif source == target:
            problems.append(f"pairs.{name}: source and target are the same domain, {source}")
        elif name != f"{source}-{target}":
            problems.append(f"pairs.{name}: a pair is named by its domains, {source}-{target}")
    acgans = section(raw, "acgan")
    trained = {name: section(raw, name) for name in ("classifier", *ADAPTERS, *FAMILIES, "vae", "ddpm")}
    trained |= {f"acgan.{item}": section(acgans, item) for item in Acgans.model_fields}
    for name, settings in (trained | {"face_features": section(raw, "face_features")}).items():
        warmup, steps = (settings.get(key) for key in ("warmup", "steps"))
        if isinstance(warmup, int) and isinstance(steps, int) and warmup > steps > 0:
            problems.append(f"{name}.warmup: must be at most the {steps} of {name}.steps, not {warmup}")
    for method, file in section(section(raw, "gan"), "methods").items():
        if method not in FAMILIES:
            problems.append(f"gan.methods: unknown method {method}; there are: {', '.join(FAMILIES)}")
        elif file != FAMILIES[method]:
            problems.append(f"gan.methods.{method}: its file in systems/ is {FAMILIES[method]}, not {file}")
    turns, batch = (section(raw, "sngan_gp").get(key) for key in ("critic_turns", "batch"))
    if isinstance(turns, int) and isinstance(batch, int) and batch < 2 * turns:
        problems.append(
            f"sngan_gp.batch: must give each of the {turns} of sngan_gp.critic_turns two images, not {batch}"
        )
    perplexity, images = (section(raw, "tsne").get(key) for key in ("perplexity", "images"))
    if isinstance(perplexity, int | float) and isinstance(images, int) and perplexity >= 2 * images:
        problems.append(
            f"tsne.perplexity: must be less than the {2 * images} points, 2 x tsne.images, not {perplexity}"
        )
    return problems


def section(raw: dict[str, Any], key: str) -> dict[str, Any]:
    value = raw.get(key)
    return value if isinstance(value, dict) else {}


def names(values: Any) -> list[str]:
    return [value for value in values if isinstance(value, str)] if isinstance(values, list) else []


def source_of(source: Any, dataset: str) -> Any:
    """Where a dataset comes from. The drawn faces are made here wherever the digits come from: nobody has them."""
    if dataset == DRAWN_FACES:
        return "embedded"
    return source[dataset] if isinstance(source, dict) else source


def source_problem(source: Any, course_path: Any, folder_paths: dict[str, Any], dataset: str) -> str | None:
    """Why a dataset cannot come from where data.source says, if so."""
    if isinstance(source, dict) and dataset not in (*source, DRAWN_FACES):
        return f"data.source: does not say where {dataset} comes from"
    source = source_of(source, dataset)
    if source in DATASETS and dataset not in DATASETS[source]:
        others = [name for name, datasets in DATASETS.items() if dataset in datasets]
        remedy = " or ".join(others) if others else "folder, and data.folder.paths"
        return f"data.source: {source} has no {dataset}, only {', '.join(DATASETS[source])}; {dataset} needs {remedy}"
    if source == "course" and course_path is None:
        return f"data.course.path: must name the course's folder, since {dataset} comes from there"
    if source == "folder" and dataset not in folder_paths:
        return f"data.folder.paths: must name the folder that {dataset} comes from"
    return None
