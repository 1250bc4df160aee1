"""params.yaml as typed, validated models.

Every key is required, so that no result depends on a default that DVC cannot see.
"""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, Tag, model_validator

from hw2core.settings.base import Float, Int, Name, Section, Seed
from hw2core.settings.systems import Systems

Source = Literal["embedded", "public", "course", "folder"]


class Engine(Section):
    device: Literal["auto", "cpu", "cuda"]
    threads: Int = Field(ge=1, le=1024)
    cpu_isa: Literal["avx2", "native"]
    precision: Literal["fp32", "bf16"]
    channels_last: bool
    compile: bool
    evaluate_every: Int = Field(ge=1)
    checkpoint_every: Int = Field(ge=1)
    tensorboard: bool


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
    domains: list[Name]
    digits: Name
    faces: Name
    val_fraction: Float = Field(gt=0, lt=0.5)
    color_jitter: list[Name]
    mirror: str | None
    embedded: Embedded
    public: Public
    course: Course
    folder: Folder


class Pair(Section):
    source: Name
    target: Name


class Conditional(Section):
    """What the conditional generators generate."""

    acgan: list[Literal["digits", "faces"]]
    ddpm: list[Literal["digits"]]


class Extractors(Section):
    """The networks whose features compare generated images. Empty if no system generates such images."""

    digits: list[Literal["classifier"]]
    faces: list[Literal["face_features"]]


class Sweep(Section):
    """The settings of `ddpm` that are compared without training again."""

    images: Int = Field(ge=10, le=100_000)
    sampling_steps: list[Annotated[Int, Field(ge=1, le=10_000)]] = Field(min_length=1)
    guidance_scale: list[Annotated[Float, Field(ge=0, le=100)]] = Field(min_length=1)


class Tsne(Section):
    images_per_domain: Int = Field(ge=20, le=100_000)
    perplexity: Float = Field(ge=2, le=1000)
    seed: Seed


class DigitEvaluation(Section):
    checkpoint: str | None


class FaceEvaluation(Section):
    inception: str | None


class Evaluation(Section):
    """Weights of one's own by which generated images are evaluated."""

    digits: DigitEvaluation
    faces: FaceEvaluation


class GeneratorSeeds(Section):
    """The seeds that generators are trained with, by the list that names them."""

    gans: list[Seed] = Field(min_length=1, max_length=1000)
    autoencoders: list[Seed] = Field(min_length=1, max_length=1000)
    conditional: list[Seed] = Field(min_length=1, max_length=1000)

    @model_validator(mode="before")
    @classmethod
    def refuse_one_list(cls, value: Any) -> Any:
        """Params of version 0.1 have one list for all generators."""
        if not isinstance(value, dict):
            raise ValueError(
                "must be a list for each kind of generator, {gans: [0], autoencoders: [0], conditional: [0]}"
            )
        return value


class Generation(Section):
    seeds: GeneratorSeeds
    images: Int = Field(ge=2, le=1_000_000)


class Report(Section):
    reference: Literal["R19", "R20", "R21", "R22a", "R22b"] | None


class Params(Systems):
    seeds: list[Seed] = Field(min_length=1, max_length=1000)
    engine: Engine
    data: Data
    pairs: dict[str, Pair]
    adapters: list[Name]
    gans: list[Name]
    autoencoders: list[Name]
    conditional: Conditional
    extractors: Extractors
    backbone: Literal["R19", "R20", "R21", "LeNet", "ResNet"]
    sweep: Sweep
    generation: Generation
    evaluation: Evaluation
    tsne: Tsne
    report: Report
