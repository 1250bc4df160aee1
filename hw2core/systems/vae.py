"""VAE, the variational autoencoder (Kingma and Welling, ICLR 2014), with R20's encoder and decoder.

The encoder names, for each image, a normal distribution of codes; the decoder draws the image again from a code of
it. That the distributions stay near N(0, 1), as the second part of the loss wants, makes any noise a code:

    L = reconstruction + kl * KL(N(mu, sigma) || N(0, 1))

The decoder ends in a sigmoid: inside, pixels lie from 0 to 1, and so does what errors are measured on. At its doors
images are from -1 to 1, as everywhere.
"""

from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.optimizer import Optimizer

from hw2core.params import Vae as Settings
from hw2core.systems.backbones import adam
from hw2core.systems.generators import FromNoise


def encoder(width: int, size: int, code: int) -> nn.Module:
    """To the codes' means and log-variances, side by side. At 64x64: four halvings, 32-128-256-64 channels."""
    deeper = [8] * (size.bit_length() - 6)
    channels = [3, *(width * factor for factor in (1, 4, *deeper, 2))]
    layers: list[nn.Module] = []
    for inputs, outputs in pairwise(channels):
        layers += [nn.Conv2d(inputs, outputs, 4, stride=2, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.Flatten(), TwoHeads(channels[-1] * 16, code))


class TwoHeads(nn.Module):
    """Means and log-variances, each by a linear layer."""

    def __init__(self, features: int, code: int) -> None:
        super().__init__()
        self.mean = nn.Linear(features, code)
        self.log_variance = nn.Linear(features, code)

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor]:
        return self.mean(features), self.log_variance(features)


def decoder(width: int, size: int, code: int) -> nn.Module:
    """From a code to pixels from 0 to 1. At 64x64: 512-128-32-16 channels."""
    deeper = [4 * width] * (size.bit_length() - 6)
    channels = [16 * width, *deeper, width, width // 2]
    layers: list[nn.Module] = [
        nn.Unflatten(1, (code, 1, 1)),
        *(nn.ConvTranspose2d(code, channels[0], 4), nn.ReLU()),
    ]
    for inputs, outputs in pairwise(channels):
        layers += [nn.ConvTranspose2d(inputs, outputs, 4, stride=2, padding=1), nn.ReLU()]
    return nn.Sequential(*layers, nn.ConvTranspose2d(channels[-1], 3, 4, stride=2, padding=1), nn.Sigmoid())


def divergence(mean: Tensor, log_variance: Tensor) -> Tensor:
    """KL(N(mean, exp(log_variance)) || N(0, 1)) in nats an image, averaged over the batch."""
    return (mean.square() + log_variance.exp() - 1 - log_variance).sum(1).mean() / 2


class Vae(FromNoise):
    settings: Settings

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        shape = (settings.width, settings.size, settings.noise)
        self.networks = nn.ModuleDict({"encoder": encoder(*shape), "decoder": decoder(*shape)})

    @cached_property
    def optimisers(self) -> dict[str, Optimizer]:
        return {"all": adam(self.networks, self.settings, self.settings.lr)}

    def step(self, batch: Tensor | tuple[Tensor, Tensor], k: int) -> dict[str, Tensor]:
        images = self.images(batch)
        mean, log_variance = (half.float() for half in self.networks["encoder"](images))
        code = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        reconstruction = F.mse_loss(self.networks["decoder"](code).float(), (images + 1) / 2)
        kl = divergence(mean, log_variance)

        self.optimisers["all"].zero_grad()
        (reconstruction + self.settings.kl * kl).backward()
        self.optimisers["all"].step()
        return {"reconstruction": reconstruction, "kl": kl}

    def encode(self, images: Tensor) -> Tensor:
        """The middle of each image's codes."""
        mean: Tensor = self.networks["encoder"](images)[0]
        return mean

    def sample(self, noise: Tensor) -> Tensor:
        """The images that these codes stand for, from -1 to 1."""
        pixels: Tensor = self.networks["decoder"](noise.to(self.device))
        return pixels * 2 - 1

    def reconstruct(self, images: Tensor) -> Tensor:
        return self.sample(self.encode(images))
