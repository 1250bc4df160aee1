"""ACGAN, a GAN with an auxiliary classifier (Odena et al. 2017).

The generator draws an image from noise and a label. The discriminator says of an image whether it is real, and
which label it has. The generator wants its images called real, and called by the labels they were drawn from.

The discriminator learns labels from real and drawn images alike, as published, or from real ones alone. Where it learns
from drawn ones too, the two may agree on signs of their own for a label, which nobody else can read.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.optimizer import Optimizer

from hw2core.params import Acgan as Settings
from hw2core.systems.adversarial import zero_centred_penalty
from hw2core.systems.backbones import adam
from hw2core.systems.generators import start_small

DIGITS, ATTRIBUTE = 10, 2

R1_EVERY = 8  # steps from one R1 penalty to the next, which then counts so many times


# --- R21's networks: digits ---------------------------------------------------------------------------------


class MultipliedLabel(nn.Module):
    """Noise times the label's embedding."""

    def __init__(self, noise: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(DIGITS, noise)

    def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
        return noise * self.embedding(labels)


Norm = Callable[[int], nn.Module]


def mended_norm(channels: int) -> nn.Module:
    """R21 wrote BatchNorm2d(c, 0.8), and meant that the running figures keep 0.8 of themselves at each step."""
    return nn.BatchNorm2d(channels, momentum=0.2)


def printed_norm(channels: int) -> nn.Module:
    """What it got: 0.8 added to every variance."""
    return nn.BatchNorm2d(channels, eps=0.8)


def r21_generator(noise: int, width: int, norm: Norm, start: int) -> nn.Module:
    """R21's has a `width` of 128. The picture begins with `start` pixels a side and is enlarged twice, by two."""
    w, half = width, width // 2
    return nn.Sequential(
        *(nn.Linear(noise, w * start**2), nn.Unflatten(1, (w, start, start)), nn.BatchNorm2d(w)),
        *(nn.Upsample(scale_factor=2), nn.Conv2d(w, w, 3, padding=1), norm(w), nn.LeakyReLU(0.2)),
        *(nn.Upsample(scale_factor=2), nn.Conv2d(w, half, 3, padding=1), norm(half), nn.LeakyReLU(0.2)),
        *(nn.Conv2d(half, 3, 3, padding=1), nn.Tanh()),
    )


def r21_discriminator(width: int, norm: Norm) -> nn.Module:
    """The features that both heads read, 32 times the `width`, of 28x28 or 32x32 images alike. R21's is 16."""
    layers: list[nn.Module] = []
    inputs = 3
    for outputs in (width, 2 * width, 4 * width, 8 * width):
        layers += [nn.Conv2d(inputs, outputs, 3, stride=2, padding=1), nn.LeakyReLU(0.2), nn.Dropout2d(0.25)]
        layers += [norm(outputs)] if inputs != 3 else []
        inputs = outputs
    return nn.Sequential(*layers, nn.Flatten())


def r21(settings: Settings, norm: Norm, start: int) -> nn.ModuleDict:
    features = 32 * settings.discriminator_width
    return nn.ModuleDict(
        {
            "label": MultipliedLabel(settings.noise),
            "generator": r21_generator(settings.noise, settings.generator_width, norm, start),
            "discriminator": r21_discriminator(settings.discriminator_width, norm),
            "real_head": nn.Linear(features, 1),
            "label_head": nn.Linear(features, DIGITS),
        }
    )


def r21_mended(settings: Settings) -> nn.ModuleDict:
    return r21(settings, mended_norm, start=7)


def r21_printed(settings: Settings) -> nn.ModuleDict:
    """As printed it draws and judges 32x32 pixels."""
    return r21(settings, printed_norm, start=8)


# --- R19's networks: faces with an attribute or without -----------------------------------------------------


class AppendedLabel(nn.Module):
    """Noise, and behind it the attribute: 0 or 1."""

    def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
        return torch.cat([noise, labels[:, None].to(noise.dtype)], dim=1)


def r19_generator(noise: int, width: int) -> nn.Module:
    """R19's has a `width` of 24."""
    w = width
    return nn.Sequential(
        *(nn.Linear(noise + 1, 16 * w), nn.Unflatten(1, (16 * w, 1, 1))),
        *(nn.ConvTranspose2d(16 * w, 8 * w, 4, bias=False), nn.BatchNorm2d(8 * w), nn.ReLU()),
        *(layer for w in (8 * w, 4 * w, 2 * w) for layer in enlarging(w, w // 2)),
        *(nn.ConvTranspose2d(w, 3, 4, stride=2, padding=1, bias=False), nn.Tanh()),
    )


def enlarging(inputs: int, outputs: int) -> tuple[nn.Module, ...]:
    return (
        nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1, bias=False),
        *(nn.BatchNorm2d(outputs), nn.ReLU()),
    )


def r19_discriminator(width: int) -> nn.Module:
    """The features that both heads read, 800 times the `width`, of 64x64 images. R19's is 16."""
    layers: list[nn.Module] = []
    inputs = 3
    for i in range(6):
        outputs, halves = width * 2**i, i % 2 == 0
        layers += [
            nn.Conv2d(inputs, outputs, 3, stride=2 if halves else 1, padding=1 if halves else 0, bias=False)
        ]
        layers += [nn.BatchNorm2d(outputs)] if i > 0 else []
        layers += [nn.LeakyReLU(0.2), nn.Dropout(0.5)]
        inputs = outputs
    return nn.Sequential(*layers, nn.Flatten())


def r19(settings: Settings) -> nn.ModuleDict:
    features = 32 * settings.discriminator_width * 5 * 5
    return nn.ModuleDict(
        {
            "label": AppendedLabel(),
            "generator": r19_generator(settings.noise, settings.generator_width),
            "discriminator": r19_discriminator(settings.discriminator_width),
            "real_head": nn.Linear(features, 1),
            "label_head": nn.Linear(features, ATTRIBUTE),
        }
    )


# --- compact ones, for CPUs ---------------------------------------------------------------------------------


class OneOf(nn.Module):
    """Noise, and behind it a number for each label, of which the wanted one's is not zero."""

    def __init__(self, labels: int) -> None:
        super().__init__()
        self.labels = labels

    def forward(self, noise: Tensor, labels: Tensor) -> Tensor:
        return torch.cat([noise, LOUD * F.one_hot(labels, self.labels).to(noise.dtype)], dim=1)


LOUD = 3  # as loud as ten numbers of the noise, or training takes long to hear it


def compact(settings: Settings, labels: int, generator: nn.Module, discriminator: nn.Module) -> nn.ModuleDict:
    features = 32 * settings.discriminator_width
    return nn.ModuleDict(
        {
            "label": OneOf(labels),
            "generator": generator,
            "discriminator": discriminator,
            "real_head": nn.Linear(features, 1),
            "label_head": nn.Linear(features, labels),
        }
    )


def compact_digits(settings: Settings) -> nn.ModuleDict:
    """R21's generator, and a discriminator that reads digits soon, as R19's backbone does.

    It has no batch norm: real and drawn images pass it in batches of their own, and a norm would give both the same
    contrast, so that the generator could let its digits fade to grey unnoticed.
    """
    generator = r21_generator(settings.noise + DIGITS, settings.generator_width, mended_norm, start=7)
    layers: list[nn.Module] = []
    w = settings.discriminator_width
    for inputs, outputs in ((3, w), (w, 2 * w)):
        layers += [nn.Conv2d(inputs, outputs, 5), nn.LeakyReLU(0.2), nn.MaxPool2d(2)]
    return compact(settings, DIGITS, generator, nn.Sequential(*layers, nn.Flatten(), nn.Dropout(0.3)))


def compact_faces(settings: Settings) -> nn.ModuleDict:
    """R19's generator against the critic of DCGAN: R19's own, with half of every layer dropped, takes long."""
    generator = r19_generator(settings.noise + ATTRIBUTE - 1, settings.generator_width)
    layers: list[nn.Module] = []
    inputs = 3
    for i in range(5):
        outputs = settings.discriminator_width * min(8, 2**i)
        layers += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1, bias=False)]
        layers += [nn.BatchNorm2d(outputs)] if i > 0 else []
        layers += [nn.LeakyReLU(0.2)]
        inputs = outputs
    networks = compact(settings, ATTRIBUTE, generator, nn.Sequential(*layers, nn.Flatten()))
    start_small(networks)
    return networks


@dataclass(frozen=True)
class Design:
    networks: Callable[[Settings], nn.ModuleDict]
    labels: int
    size: int
    """Pixels a side of the images that come in and go out."""
    works_at: int
    """And of those that the networks draw and judge."""


DESIGNS = {
    "compact": Design(compact_digits, DIGITS, size=28, works_at=28),
    "compact_faces": Design(compact_faces, ATTRIBUTE, size=64, works_at=64),
    "R19": Design(r19, ATTRIBUTE, size=64, works_at=64),
    "R21": Design(r21_mended, DIGITS, size=28, works_at=28),
    "R21_printed": Design(r21_printed, DIGITS, size=28, works_at=32),
}


class Acgan:
    settings: Settings

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.design = DESIGNS[settings.arch]
        self.size = self.design.size
        self.networks = self.design.networks(settings)

    @cached_property
    def optimisers(self) -> dict[str, Optimizer]:
        parts = {
            "generator": (("label", "generator"), self.settings.lr),
            "discriminator": (("discriminator", "real_head", "label_head"), self.settings.discriminator_lr),
        }
        return {
            name: adam(nn.ModuleList([self.networks[part] for part in of]), self.settings, rate)
            for name, (of, rate) in parts.items()
        }

    def step(self, batch: tuple[Tensor, Tensor], k: int) -> dict[str, Tensor]:
        penalise = self.settings.r1 > 0 and k % R1_EVERY == 0
        real = resized(batch[0], self.design.works_at).detach().requires_grad_(penalise)
        labels = batch[1]
        noise = torch.randn((len(real), self.settings.noise), device=real.device)
        wanted = torch.randint(self.design.labels, (len(real),), device=real.device)
        drawn = self.draw(noise, wanted)

        says_real, reads_real = self.discriminate(real)
        says_drawn, reads_drawn = self.discriminate(drawn.detach())
        told_loss = (against(says_real, 1) + against(says_drawn, 0)) / 2
        read_loss = self.misread(reads_real, labels)
        if self.settings.labels_of == "both":
            read_loss = (read_loss + self.misread(reads_drawn, wanted)) / 2
        r1 = R1_EVERY * zero_centred_penalty(real, says_real) if penalise else told_loss.new_zeros(())
        self.optimisers["discriminator"].zero_grad()
        (told_loss + read_loss + self.settings.r1 / 2 * r1).backward()
        self.optimisers["discriminator"].step()

        says_drawn, reads_drawn = self.discriminate(drawn)
        fooling_loss = against(says_drawn, 1)
        obeying_loss = self.misread(reads_drawn, wanted)
        self.optimisers["generator"].zero_grad()
        (fooling_loss + self.settings.obedience * obeying_loss).backward()
        self.optimisers["generator"].step()
        return {
            "told_loss": told_loss,
            "read_loss": read_loss,
            "r1": r1,
            "fooling_loss": fooling_loss,
            "obeying_loss": obeying_loss,
        }

    def discriminate(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """How real each image looks, and which label it has, both as logits."""
        features = self.networks["discriminator"](images)
        return self.networks["real_head"](features), self.networks["label_head"](features)

    def misread(self, logits: Tensor, labels: Tensor) -> Tensor:
        """The auxiliary loss. As R21 printed it, the logits go through a softmax twice: the loss then never falls
        below 1.46, and hardly pulls at a label that is plainly wrong."""
        if self.settings.arch == "R21_printed":
            logits = logits.softmax(1)
        return F.cross_entropy(logits, labels)

    def draw(self, noise: Tensor, labels: Tensor) -> Tensor:
        images: Tensor = self.networks["generator"](self.networks["label"](noise, labels))
        return images

    def noise(self, count: int, random: torch.Generator) -> Tensor:
        """What samples start from; the same on every device."""
        return torch.randn((count, self.settings.noise), generator=random)

    def sample(self, noise: Tensor, labels: Tensor) -> Tensor:
        """Images from -1 to 1 of these labels."""
        return resized(self.draw(noise, labels).float(), self.design.size)


def against(logits: Tensor, real: int) -> Tensor:
    """The loss of a verdict on images that are all real, or all drawn."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, real))


def resized(images: Tensor, size: int) -> Tensor:
    if images.shape[-1] == size:
        return images
    return F.interpolate(images, (size, size), mode="bilinear", antialias=True)
