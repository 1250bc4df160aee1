"""GAN losses of logits, and penalties on the discriminator's gradient.

The discriminator is that of Goodfellow et al. (2014): its logit is high for images that it takes for real. Sigmoids
that end printed networks are part of the losses here.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F


def discriminator_loss(real: Tensor, fake: Tensor, label_smoothing: float = 0.0) -> Tensor:
    """Cross-entropy of the discriminator, -log D(x) - log(1 - D(G(z))), on logits (n,) of real and fake images.

    One-sided label smoothing: only the real target is lowered. Smoothing the fake target would reward samples where
    p_g is large (Salimans et al. 2016).
    """
    target = torch.full_like(real, 1 - label_smoothing)
    return F.binary_cross_entropy_with_logits(real, target) + F.softplus(fake.float()).mean()


def non_saturating_loss(fake: Tensor) -> Tensor:
    """The generator's non-saturating loss, -log D(G(z))."""
    return F.softplus(-fake.float()).mean()


def wasserstein_loss(real: Tensor, fake: Tensor) -> Tensor:
    """The critic's loss: minus its estimate of the Wasserstein distance."""
    return fake.float().mean() - real.float().mean()


def relativistic_loss(preferred: Tensor, other: Tensor) -> Tensor:
    """Relativistic pairing loss, -log sigmoid(D(a) - D(b)) (Jolicoeur-Martineau 2018).

    The discriminator prefers the real image of each pair, the generator the fake one.
    """
    return F.softplus(other.float() - preferred.float()).mean()


def input_gradient(images: Tensor, logits: Tensor) -> Tensor:
    """The gradient of each logit at its image, (n, 3 h w), which can be differentiated again."""
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.float().flatten(1)


def r1_penalty(images: Tensor, logits: Tensor) -> Tensor:
    """Mean squared gradient norm: R1 at real images, R2 at fake ones (Mescheder et al. 2018)."""
    return input_gradient(images, logits).square().sum(1).mean()


def gradient_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """WGAN-GP's penalty, E (|grad critic(x_hat)| - 1)^2, x_hat random points between real and fake (Gulrajani et al. 2017)."""
    eps = torch.rand((len(real), 1, 1, 1), device=real.device)
    x_hat = real.lerp(fake, eps).requires_grad_()  # (n, 3, h, w)
    return (input_gradient(x_hat, critic(x_hat)).norm(dim=1) - 1).square().mean()
