"""What there is: the datasets of each source, and the systems by kind. Derived from the models, never listed twice."""

from typing import TypeVar, get_args

from hw2core.settings.models import Source
from hw2core.settings.systems import Acgans, Adapter, Autoencoder, Ddpm, Gan, Systems, Training

DATASETS: dict[Source, tuple[str, ...]] = {
    "embedded": ("handwritten", "blended", "printed", "drawn_faces"),
    "public": ("mnist", "mnistm", "usps", "svhn", "celeba"),
    "course": ("mnistm", "usps", "svhn", "celeba"),
}
"""What each source has; data.folder.paths names what comes from folders."""

DRAWN_FACES = "drawn_faces"
FACES = (DRAWN_FACES, "celeba")
"""Those of them that are of faces; all others are of digits."""


T = TypeVar("T", bound=Training)


def of_kind(kind: type[T]) -> dict[str, type[T]]:
    """The systems of a kind: their section's name and its class."""
    return {
        name: field.annotation
        for name, field in Systems.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, kind)
    }


TRAININGS = of_kind(Training)
ADAPTER_SETTINGS = of_kind(Adapter)
ADAPTERS = tuple(ADAPTER_SETTINGS)
GANS = tuple(of_kind(Gan))
AUTOENCODERS = tuple(of_kind(Autoencoder))

CONDITIONAL = {"acgan/digits": 10, "acgan/faces": 2, "ddpm": 10}
"""The generators that are conditioned on a label, and how many labels there are."""

SAMPLERS: tuple[str, ...] = get_args(Ddpm.model_fields["sampler"].annotation)


def title(name: str) -> str:
    """A system's name as it is printed: AdaMatch for adamatch. Any other text stays as it is."""
    section = name.partition("/")[0]
    if section in TRAININGS:
        return TRAININGS[section].title
    if section == "acgan":
        return next(iter(Acgans.model_fields.values())).annotation.title  # type: ignore[union-attr]
    return name
