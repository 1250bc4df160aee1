"""The networks of ACGAN: R19's for faces, R21's for digits, and compact ones for CPUs.

Each design is a module dict: "label_embedding" maps z (n, latent_dim) and labels (n,) to the generator's input,
"discriminator" maps images to features, "adv_head" features to real-or-fake logits (n, 1), and "aux_head" features to
label logits (n, labels).
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hw2core.settings.systems import Acgan as Settings
from hw2core.systems.layers import init_weights

DIGITS, ATTRIBUTE = 10, 2  # how many labels


def assemble(
    label_embedding: nn.Module, generator: nn.Module, discriminator: nn.Module, features: int, labels: int
) -> nn.ModuleDict:
    """The five networks, with new heads on `features` features of the discriminator."""
    return nn.ModuleDict(
        {
            "label_embedding": label_embedding,
            "generator": generator,
            "discriminator": discriminator,
            "adv_head": nn.Linear(features, 1),
            "aux_head": nn.Linear(features, labels),
        }
    )


# --- R21's: digits --------------------------------------------------------------------------------------------

Norm = Callable[[int], nn.Module]


class MultiplyLabel(nn.Module):
    """z times the label's embedding."""

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(DIGITS, latent_dim)

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        return z * self.embedding(labels)


def intended_norm(channels: int) -> nn.Module:
    """R21 writes BatchNorm2d(c, 0.8) and means that the running statistics keep 0.8 of their value at each step."""
    return nn.BatchNorm2d(channels, momentum=0.2)


def printed_norm(channels: int) -> nn.Module:
    """What BatchNorm2d(c, 0.8) does: add 0.8 to every variance."""
    return nn.BatchNorm2d(channels, eps=0.8)


def r21_generator(inputs: int, width: int, norm: Norm, start: int) -> nn.Module:
    """To images of 4 `start` pixels a side. R21's `width` is 128."""
    w, half = width, width // 2
    return nn.Sequential(
        *(nn.Linear(inputs, w * start**2), nn.Unflatten(1, (w, start, start)), nn.BatchNorm2d(w)),
        *(nn.Upsample(scale_factor=2), nn.Conv2d(w, w, 3, padding=1), norm(w), nn.LeakyReLU(0.2)),
        *(nn.Upsample(scale_factor=2), nn.Conv2d(w, half, 3, padding=1), norm(half), nn.LeakyReLU(0.2)),
        *(nn.Conv2d(half, 3, 3, padding=1), nn.Tanh()),
    )


def r21_discriminator(width: int, norm: Norm) -> nn.Module:
    """28x28 or 32x32 images to 32 `width` features. R21's `width` is 16."""
    layers: list[nn.Module] = []
    inputs = 3
    for outputs in (width, 2 * width, 4 * width, 8 * width):
        layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.LeakyReLU(0.2), nn.Dropout2d(0.25)]
        layers += [norm(outputs)] if inputs != 3 else []
        inputs = outputs
    return nn.Sequential(*layers, nn.Flatten())


def r21(settings: Settings, norm: Norm, start: int) -> nn.ModuleDict:
    return assemble(
        MultiplyLabel(settings.latent_dim),
        r21_generator(settings.latent_dim, settings.generator_width, norm, start),
        r21_discriminator(settings.discriminator_width, norm),
        features=32 * settings.discriminator_width,
        labels=DIGITS,
    )


def r21_corrected(settings: Settings) -> nn.ModuleDict:
    return r21(settings, intended_norm, start=7)


def r21_printed(settings: Settings) -> nn.ModuleDict:
    return r21(settings, printed_norm, start=8)


# --- R19's: faces with or without an attribute ----------------------------------------------------------------


class AppendLabel(nn.Module):
    """z with the attribute, 0 or 1, appended."""

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        return torch.cat([z, labels[:, None].to(z.dtype)], dim=1)


def r19_generator(inputs: int, width: int) -> nn.Module:
    """To 64x64 images. R19's `width` is 24."""
    w = width
    return nn.Sequential(
        *(nn.Linear(inputs, 16 * w), nn.Unflatten(1, (16 * w, 1, 1))),
        *(nn.ConvTranspose2d(16 * w, 8 * w, 4, bias=False), nn.BatchNorm2d(8 * w), nn.ReLU()),
        *(layer for w in (8 * w, 4 * w, 2 * w) for layer in up4(w, w // 2)),
        *(nn.ConvTranspose2d(w, 3, 4, stride=2, padding=1, bias=False), nn.Tanh()),
    )


def up4(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return (
        nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False),
        *(nn.BatchNorm2d(outputs), nn.ReLU()),
    )


def r19_discriminator(width: int) -> nn.Module:
    """64x64 images to 800 `width` features. R19's `width` is 16."""
    layers: list[nn.Module] = []
    inputs = 3
    for i in range(6):
        outputs = width * 2**i
        stride, padding = (2, 1) if i % 2 == 0 else (1, 0)
        layers += [nn.Conv2d(inputs, outputs, 3, stride=stride, padding=padding, bias=False)]
        layers += [nn.BatchNorm2d(outputs)] if i > 0 else []
        layers += [nn.LeakyReLU(0.2), nn.Dropout(0.5)]
        inputs = outputs
    return nn.Sequential(*layers, nn.Flatten())


def r19(settings: Settings) -> nn.ModuleDict:
    return assemble(
        AppendLabel(),
        r19_generator(settings.latent_dim + 1, settings.generator_width),
        r19_discriminator(settings.discriminator_width),
        features=800 * settings.discriminator_width,
        labels=ATTRIBUTE,
    )


# --- compact ones, for CPUs -----------------------------------------------------------------------------------


class AppendOneHot(nn.Module):
    """z with the one-hot label, times `scale`, appended.

    At a scale of 3 the label has the norm of about ten latent dimensions, which speeds up conditioning.
    """

    def __init__(self, labels: int, scale: float) -> None:
        super().__init__()
        self.labels, self.scale = labels, scale

    def forward(self, z: Tensor, labels: Tensor) -> Tensor:
        return torch.cat([z, self.scale * F.one_hot(labels, self.labels).to(z.dtype)], dim=1)


def compact_digits(settings: Settings) -> nn.ModuleDict:
    """R21's generator, and a discriminator similar to the extractor of R19's backbone, which learns digits quickly.

    The discriminator has no batch norm. Real and fake images are separate batches, and batch norm would give both the
    same contrast, so that the generator could fade its digits to gray without a penalty.
    """
    generator = r21_generator(settings.latent_dim + DIGITS, settings.generator_width, intended_norm, start=7)
    layers: list[nn.Module] = []
    w = settings.discriminator_width
    for inputs, outputs in ((3, w), (w, 2 * w)):
        layers += [nn.Conv2d(inputs, outputs, 5), nn.LeakyReLU(0.2), nn.MaxPool2d(2)]
    discriminator = nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3))
    return assemble(
        AppendOneHot(DIGITS, settings.label_scale), generator, discriminator, features=32 * w, labels=DIGITS
    )


def compact_faces(settings: Settings) -> nn.ModuleDict:
    """R19's generator with a discriminator similar to DCGAN's. R19's own, with its dropout, trains slowly."""
    generator = r19_generator(settings.latent_dim + ATTRIBUTE, settings.generator_width)
    layers: list[nn.Module] = []
    inputs, w = 3, settings.discriminator_width
    for i in range(5):
        outputs = w * min(8, 2**i)
        layers += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False)]
        layers += [nn.BatchNorm2d(outputs)] if i > 0 else []
        layers += [nn.LeakyReLU(0.2)]
        inputs = outputs
    discriminator = nn.Sequential(*layers, nn.Flatten())
    embedding = AppendOneHot(ATTRIBUTE, settings.label_scale)
    networks = assemble(embedding, generator, discriminator, features=32 * w, labels=ATTRIBUTE)
    init_weights(networks)
    return networks


@dataclass(frozen=True)
class Design:
    networks: Callable[[Settings], nn.ModuleDict]
    labels: int
    size: int
    """Pixels a side of the images that come in and go out."""
    network_size: int
    """Pixels a side of the images inside: the printed R21 works at 32x32, and images are resized."""


DESIGNS = {
    "compact": Design(compact_digits, DIGITS, size=28, network_size=28),
    "compact_faces": Design(compact_faces, ATTRIBUTE, size=64, network_size=64),
    "R19": Design(r19, ATTRIBUTE, size=64, network_size=64),
    "R21": Design(r21_corrected, DIGITS, size=28, network_size=28),
    "R21_printed": Design(r21_printed, DIGITS, size=28, network_size=32),
}
