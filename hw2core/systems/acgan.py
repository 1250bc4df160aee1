"""ACGAN, a GAN with an auxiliary classifier (Odena et al., ICML 2017).

The generator makes images from noise z and a label c. The discriminator has two heads: S, real or fake, and C, the
label.

    discriminator    -(log P(S=real | x) + log P(S=fake | G(z, c))) / 2 - log P(C=c | x or G(z, c)) + r1_gamma/2 R1
    generator        -log P(S=real | G(z, c)) - aux_weight log P(C=c | G(z, c))

As published, the auxiliary head learns labels from real and fake images. `aux_loss_on: real` restricts it to real ones:
otherwise generator and discriminator can agree on features of a label that no other classifier recognizes.
"""

from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.optimizer import Optimizer

from hw2core.engine.system import Batch, adam
from hw2core.settings.systems import Acgan as Settings
from hw2core.settings.systems import Sampling
from hw2core.systems.acgan_networks import DESIGNS
from hw2core.systems.generator import Generator
from hw2core.systems.losses import r1_penalty


class Acgan(Generator):
    settings: Settings

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.design = DESIGNS[settings.arch]
        self.size, self.labels = self.design.size, self.design.labels
        self.latent_shape = (settings.latent_dim,)
        self.networks = self.design.networks(settings)

    @cached_property
    def optimizers(self) -> dict[str, Optimizer]:
        generator = [self.networks[name] for name in ("label_embedding", "generator")]
        discriminator = [self.networks[name] for name in ("discriminator", "adv_head", "aux_head")]
        return {
            "generator": adam(nn.ModuleList(generator), self.settings, self.settings.lr),
            "discriminator": adam(
                nn.ModuleList(discriminator), self.settings, self.settings.discriminator_lr
            ),
        }

    def step(self, batch: Batch, k: int) -> dict[str, Tensor]:
        # The lazy penalty counts as many times as the steps that it stands for.
        penalize = self.settings.r1_gamma > 0 and k % self.settings.r1_every == 0
        real = resize(batch[0], self.design.network_size).detach().requires_grad_(penalize)  # (n, 3, h, w)
        labels = batch[1]  # (n,)
        z = torch.randn((len(real), self.settings.latent_dim), device=real.device)
        fake_labels = torch.randint(self.labels, (len(real),), device=real.device)
        fake = self.generate(z, fake_labels)  # (n, 3, h, w)

        real_adv, real_aux = self.discriminate(real)  # (n, 1), (n, labels)
        fake_adv, fake_aux = self.discriminate(fake.detach())
        d_adv_loss = (adv_loss(real_adv, 1) + adv_loss(fake_adv, 0)) / 2
        d_aux_loss = self.aux_loss(real_aux, labels)
        if self.settings.aux_loss_on == "real_and_fake":
            d_aux_loss = (d_aux_loss + self.aux_loss(fake_aux, fake_labels)) / 2
        r1 = self.settings.r1_every * r1_penalty(real, real_adv) if penalize else d_adv_loss.new_zeros(())
        self.descend("discriminator", d_adv_loss + d_aux_loss + self.settings.r1_gamma / 2 * r1)

        fake_adv, fake_aux = self.discriminate(fake)
        g_adv_loss = adv_loss(fake_adv, 1)
        g_aux_loss = self.aux_loss(fake_aux, fake_labels)  # of the labels that the images were generated from
        self.descend("generator", g_adv_loss + self.settings.aux_weight * g_aux_loss)
        return {
            "d_adv_loss": d_adv_loss,
            "d_aux_loss": d_aux_loss,
            "r1": r1,
            "g_adv_loss": g_adv_loss,
            "g_aux_loss": g_aux_loss,
        }

    def generate(self, z: Tensor, labels: Tensor) -> Tensor:
        images: Tensor = self.networks["generator"](self.networks["label_embedding"](z, labels))
        return images

    def discriminate(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The logits of S (n, 1) and of C (n, labels)."""
        features = self.networks["discriminator"](images)
        return self.networks["adv_head"](features), self.networks["aux_head"](features)

    def aux_loss(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Cross-entropy of C. R21_printed applies softmax twice: its loss is at least 1.46 and has a weak gradient."""
        if self.settings.arch == "R21_printed":
            logits = logits.softmax(1)
        return F.cross_entropy(logits, labels)

    def noise(self, count: int, rng: torch.Generator) -> Tensor:
        """z (count, latent_dim), in one draw on the CPU."""
        return torch.randn((count, *self.latent_shape), generator=rng)

    def sample(
        self,
        noise: Tensor,
        labels: Tensor | None = None,
        sampling: Sampling | None = None,
        rng: torch.Generator | None = None,
    ) -> Tensor:
        assert labels is not None, "ACGAN generates images of given labels"
        images = self.generate(noise.to(self.device), labels.to(self.device))
        return resize(images.float(), self.size)


def adv_loss(logits: Tensor, real: int) -> Tensor:
    """Cross-entropy of S for images that are all real (1) or all fake (0)."""
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, real))


def resize(images: Tensor, size: int) -> Tensor:
    if images.shape[-1] == size:
        return images
    return F.interpolate(images, (size, size), mode="bilinear", antialias=True)
