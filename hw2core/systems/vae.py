"""VAE, the variational autoencoder (Kingma and Welling, ICLR 2014), with R20's encoder and decoder.

The encoder gives each image x a distribution q(z|x) = N(mu, diag(sigma^2)); the decoder reconstructs x from a sample of
it, z = mu + sigma eps. The second term of the loss keeps q(z|x) close to the prior N(0, I), from which new images are
generated:

    L = reconstruction + kl_weight KL(q(z|x) || N(0, I))

The decoder ends in a sigmoid, and the reconstruction error is measured on pixels in [0, 1]. Images that come in and go
out are in [-1, 1].
"""

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hw2core.engine.system import Batch
from hw2core.settings.systems import Sampling
from hw2core.settings.systems import Vae as Settings
from hw2core.systems.generator import Generator, flip


def encoder(width: int, size: int, latent_dim: int) -> nn.Module:
    """Images (n, 3, size, size) to mu and log_var. At 64x64: half the size four times, 32-128-256-64 channels."""
    deeper = [8] * (size.bit_length() - 6)
    channels = [3, *(width * factor for factor in (1, 4, *deeper, 2))]
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(channels):
        layers += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), GaussianHead(channels[-1] * 16, latent_dim))


class GaussianHead(nn.Module):
    """Features to mu and log_var, each (n, latent_dim), by one linear layer each."""

    def __init__(self, features: int, latent_dim: int) -> None:
        super().__init__()
        self.mu = nn.Linear(features, latent_dim)
        self.log_var = nn.Linear(features, latent_dim)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return self.mu(features), self.log_var(features)


def decoder(width: int, size: int, latent_dim: int) -> nn.Module:
    """z (n, latent_dim) to pixels (n, 3, size, size) in [0, 1]. At 64x64: 512-128-32-16 channels."""
    deeper = [4 * width] * (size.bit_length() - 6)
    channels = [16 * width, *deeper, width, width // 2]
    layers: list[nn.Module] = [
        nn.Unflatten(1, (latent_dim, 1, 1)),
        *(nn.ConvTranspose2d(latent_dim, channels[0], 4), nn.ReLU()),
    ]
    for inputs, outputs in pairwise(channels):
        layers += [nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(channels[-1], 3, 4, stride=2, padding=1), nn.Sigmoid())


def kl_divergence(mu: Tensor, log_var: Tensor) -> Tensor:
    """KL(N(mu, exp(log_var)) || N(0, I)) in nats per image, averaged over the batch."""
    return (mu.square() + log_var.exp() - 1 - log_var).sum(1).mean() / 2


class Vae(Generator):
    settings: Settings

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.size, self.latent_shape = settings.size, (settings.latent_dim,)
        shape = (settings.width, settings.size, settings.latent_dim)
        self.networks = nn.ModuleDict({"encoder": encoder(*shape), "decoder": decoder(*shape)})

    def step(self, batch: Batch, k: int) -> dict[str, Tensor]:
        x = flip(batch[0], self.settings.flips)  # (n, 3, size, size)
        mu, log_var = (output.float() for output in self.networks["encoder"](x))  # (n, latent_dim)
        z = mu + (log_var / 2).exp() * torch.randn_like(mu)  # reparameterization
        reconstruction = F.mse_loss(self.networks["decoder"](z).float(), (x + 1) / 2)
        kl = kl_divergence(mu, log_var)
        self.descend("all", reconstruction + self.settings.kl_weight * kl)
        return {"reconstruction": reconstruction, "kl": kl}

    def encode(self, images: Tensor) -> Tensor:
        """mu (n, latent_dim) of images (n, 3, size, size)."""
        mu: Tensor = self.networks["encoder"](images)[0]
        return mu

    def sample(
        self,
        noise: Tensor,
        labels: Tensor | None = None,
        sampling: Sampling | None = None,
        rng: torch.Generator | None = None,
    ) -> Tensor:
        pixels: Tensor = self.networks["decoder"](noise.to(self.device))
        return pixels * 2 - 1

    def reconstruct(self, images: Tensor) -> Tensor:
        """The images decoded from mu."""
        return self.sample(self.encode(images))
