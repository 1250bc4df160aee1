"""What GANs share: the two networks, their optimizers, sampling, and the metrics that show the health of a run."""

from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.optimizer import Optimizer

from hw2core.engine.numerics import exact_sqrt
from hw2core.engine.system import Batch, adam
from hw2core.settings.systems import Dcgan, Gan, Sampling, Sngan
from hw2core.systems.diffaugment import DIFFAUGMENT
from hw2core.systems.generator import Generator, flip
from hw2core.systems.layers import init_weights
from hw2core.systems.losses import discriminator_loss, non_saturating_loss, r1_penalty


class Adversarial(Generator):
    """A generator G and a discriminator D (a critic where the loss is Wasserstein)."""

    settings: Gan

    def __init__(self, settings: Gan, generator: nn.Module, discriminator: nn.Module) -> None:
        self.settings = settings
        self.size, self.latent_shape = settings.size, (settings.latent_dim,)
        self.networks = nn.ModuleDict({"generator": generator, "discriminator": discriminator})

    @cached_property
    def optimizers(self) -> dict[str, Optimizer]:
        rates = {"generator": self.settings.lr, "discriminator": self.settings.discriminator_lr}
        return {name: adam(self.networks[name], self.settings, lr) for name, lr in rates.items()}

    def real(self, batch: Batch) -> Tensor:
        """The real images (n, 3, size, size) of a batch, flipped at random."""
        return flip(batch[0], self.settings.flips)

    def fake(self, count: int) -> Tensor:
        """G(z) with gradients: (count, 3, size, size)."""
        z = torch.randn((count, *self.latent_shape), device=self.device)
        images: Tensor = self.networks["generator"](z)
        return images

    def augment(self, images: Tensor) -> Tensor:
        """Differentiable augmentation, in fp32, which penalties need."""
        for name in self.settings.diffaugment:
            images = DIFFAUGMENT[name](images)
        return images.float()

    def discriminate(self, images: Tensor) -> Tensor:
        """The logits (n,) of augmented images."""
        logits: Tensor = self.networks["discriminator"](images)
        return logits.flatten()

    def sample(
        self,
        noise: Tensor,
        labels: Tensor | None = None,
        sampling: Sampling | None = None,
        rng: torch.Generator | None = None,
    ) -> Tensor:
        images: Tensor = self.networks["generator"](noise.to(self.device))
        return images.clamp(-1, 1)  # generators without a final tanh can leave the range


class NonSaturating(Adversarial):
    """The GAN of Goodfellow et al. (2014) with the non-saturating loss, which DCGAN and SNGAN share.

    Real and fake images are separate batches of the discriminator, so that each has its own batch-norm statistics.
    `r1_gamma` is the weight of the R1 penalty; None: the method has none, and no column for it.
    """

    settings: Dcgan | Sngan

    def __init__(
        self,
        settings: Dcgan | Sngan,
        generator: nn.Module,
        discriminator: nn.Module,
        r1_gamma: float | None = None,
    ) -> None:
        super().__init__(settings, generator, discriminator)
        self.r1_gamma = r1_gamma
        init_weights(self.networks)

    def step(self, batch: Batch, k: int) -> dict[str, Tensor]:
        real = self.real(batch)  # (n, 3, size, size)
        fake = self.fake(len(real))  # (n, 3, size, size)

        seen = self.augment(real).requires_grad_(bool(self.r1_gamma))
        real_logits = self.discriminate(seen)  # (n,)
        fake_logits = self.discriminate(self.augment(fake.detach()))  # (n,)
        d_loss = discriminator_loss(real_logits, fake_logits, self.settings.label_smoothing)
        r1 = r1_penalty(seen, real_logits) if self.r1_gamma else d_loss.new_zeros(())
        d_grad_norm = self.descend("discriminator", d_loss + (self.r1_gamma or 0.0) / 2 * r1)

        g_loss = non_saturating_loss(self.discriminate(self.augment(fake)))
        g_grad_norm = self.descend("generator", g_loss)
        return {
            "d_loss": d_loss,
            "g_loss": g_loss,
            **({} if self.r1_gamma is None else {"r1": r1}),
            **health(real, fake, real_logits, fake_logits, d_grad_norm, g_grad_norm),
        }


def health(
    real: Tensor,
    fake: Tensor,
    real_logits: Tensor,
    fake_logits: Tensor,
    d_grad_norm: Tensor,
    g_grad_norm: Tensor,
    threshold: Tensor | float = 0.0,
) -> dict[str, Tensor]:
    """What shows whether a run is healthy, as columns of its history.

    `d_real_acc` and `d_fake_acc` are the discriminator's accuracies on real and fake images at a logit of `threshold`;
    both at 1 means that the generator gets no useful gradient. A low `diversity` means mode collapse.
    """
    return {
        "d_real_acc": (real_logits > threshold).float().mean(),
        "d_fake_acc": (fake_logits < threshold).float().mean(),
        "d_grad_norm": d_grad_norm,
        "g_grad_norm": g_grad_norm,
        "diversity": diversity(fake, real),
    }


def midpoint(real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """The threshold for logits whose differences alone have a meaning, as with Wasserstein and relativistic losses."""
    return (real_logits.detach().mean() + fake_logits.detach().mean()) / 2


@torch.no_grad()
def diversity(fake: Tensor, real: Tensor) -> Tensor:
    """Standard deviation of fake images over the batch, relative to that of real ones: 1 is as diverse, 0 one image.

    Images are pooled to 8x8 first, which removes pixel noise: it is no diversity.
    """
    variances = [F.adaptive_avg_pool2d(images.float(), 8).var(0).mean() for images in (fake, real)]
    return exact_sqrt(variances[0] / (variances[1] + 1e-8))
