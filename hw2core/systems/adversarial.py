"""What the adversarial systems share: losses, penalties, differentiable augmentation, the health of a run, and
the turns of the game between a generator and a critic.

The critic is the discriminator of Goodfellow et al. (2014): high where it takes an image for real. Sigmoids that
networks are printed with are in the losses here, which take logits.
"""

from collections.abc import Callable, Iterable
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.optimizer import Optimizer

from hw2core.data.augment import draw
from hw2core.params import Gan
from hw2core.systems.backbones import adam
from hw2core.systems.generators import FromNoise

# --- losses, of logits -----------------------------------------------------------------------------------------


def judging_loss(real: Tensor, fake: Tensor, smoothing: float = 0.0) -> Tensor:
    """The critic's cross-entropy. Smoothing asks for less than certainty, of the real images alone (Salimans et
    al. 2016): asked of fakes it would draw them to where they are."""
    wanted = torch.full_like(real, 1 - smoothing)
    return F.binary_cross_entropy_with_logits(real, wanted) + F.softplus(fake.float()).mean()


def fooling_loss(fake: Tensor) -> Tensor:
    """The generator's, in the form that does not saturate: -log of the probability that it passes for real."""
    return F.softplus(-fake.float()).mean()


def wasserstein_loss(real: Tensor, fake: Tensor) -> Tensor:
    """The critic's: minus the distance that it sees between the two. The generator's is its second part."""
    return fake.float().mean() - real.float().mean()


def relativistic_loss(winner: Tensor, loser: Tensor) -> Tensor:
    """Cross-entropy of the claim that the first of each pair looks more real than the second
    (Jolicoeur-Martineau 2018). The critic has the real image win, the generator the fake."""
    return F.softplus(loser.float() - winner.float()).mean()


# --- penalties on the critic's gradient -------------------------------------------------------------------------


def gradient_at(images: Tensor, logits: Tensor) -> Tensor:
    """The critic's gradient at each image, flat, in a way that can be differentiated again."""
    (gradient,) = torch.autograd.grad(logits.sum(), images, create_graph=True)
    return gradient.float().flatten(1)


def zero_centred_penalty(images: Tensor, logits: Tensor) -> Tensor:
    """The mean squared norm of the critic's gradient: R1 at real images, R2 at fakes (Mescheder et al. 2018)."""
    return gradient_at(images, logits).square().sum(1).mean()


def one_centred_penalty(critic: Callable[[Tensor], Tensor], real: Tensor, fake: Tensor) -> Tensor:
    """WGAN-GP's: how far the gradient's norm is from 1, at points between real and fake (Gulrajani et al. 2017)."""
    between = real.lerp(fake, draw(real, 1, 1, 1, low=0, high=1)).requires_grad_()
    return (gradient_at(between, critic(between)).norm(dim=1) - 1).square().mean()


# --- differentiable augmentation (Zhao et al. 2020): of whatever the critic sees, one draw for each image ---------


def colour(images: Tensor) -> Tensor:
    """Lighter or darker by at most 0.5, then less or more saturated, then less or more contrast."""
    images = images + draw(images, 1, 1, 1, low=-0.5, high=0.5)
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * draw(images, 1, 1, 1, low=0, high=2)
    mean = images.mean((1, 2, 3), keepdim=True)
    return mean + (images - mean) * draw(images, 1, 1, 1, low=0.5, high=1.5)


def translation(images: Tensor) -> Tensor:
    """Moved by whole pixels, at most an eighth of the frame either way; what is left empty is grey. A move is a
    product with a matrix that has its ones beside the diagonal: as fast as an index, and its gradient simpler."""
    down, right = (shifts(images, size) for size in images.shape[2:])
    return down @ images @ right.mT


def shifts(images: Tensor, size: int) -> Tensor:
    """A matrix for each image that moves `size` rows down by a number of its own."""
    reach = size // 8
    move = torch.randint(-reach, reach + 1, (len(images), 1, 1, 1), device=images.device)
    place = torch.arange(size, device=images.device)
    return (place[:, None] == place + move).to(images.dtype)


def cutout(images: Tensor) -> Tensor:
    """A square of half the frame's width, its middle anywhere, painted grey."""
    inside = []
    for size in images.shape[2:]:
        middle = torch.randint(0, size + 1, (len(images), 1), device=images.device)
        place = torch.arange(size, device=images.device)
        inside.append((place >= middle - size // 4) & (place < middle + size // 4))
    return images * ~(inside[0][:, None, :, None] & inside[1][:, None, None, :])


DIFFERENTIABLE: dict[str, Callable[[Tensor], Tensor]] = {
    "colour": colour,
    "translation": translation,
    "cutout": cutout,
}

# --- the health of a run ---------------------------------------------------------------------------------------


def accuracies(real: Tensor, fake: Tensor, threshold: Tensor | float = 0.0) -> dict[str, Tensor]:
    """The shares of real and of fake images that the critic takes for what they are. At 1 and 1 it has won."""
    return {
        "real_accuracy": (real > threshold).float().mean(),
        "fake_accuracy": (fake < threshold).float().mean(),
    }


def between(real: Tensor, fake: Tensor) -> Tensor:
    """The threshold for a critic whose logits mean something only against each other: half-way."""
    return (real.detach().mean() + fake.detach().mean()) / 2


@torch.no_grad()
def diversity(fake: Tensor, real: Tensor) -> Tensor:
    """How far apart two fakes are, beside two real images: the ratio of the standard deviations over the batch.
    1 is as various as the data, 0 one image for every noise. Of images at 8x8, where noise in the pixels, which
    is no variety, is all but gone."""
    spreads = [F.adaptive_avg_pool2d(images.float(), 8).var(0).mean() for images in (fake, real)]
    return (spreads[0] / (spreads[1] + 1e-8)).sqrt()


# --- the game --------------------------------------------------------------------------------------------------


class Adversarial(FromNoise):
    """A generator and a critic, the optimiser of each, their turns, and how to sample."""

    settings: Gan

    @cached_property
    def optimisers(self) -> dict[str, Optimizer]:
        return {
            "generator": adam(self.networks["generator"], self.settings, self.settings.lr),
            "critic": adam(self.networks["critic"], self.settings, self.settings.critic_lr),
        }

    def fakes(self, count: int) -> Tensor:
        """Images of fresh noise, through which the generator can learn."""
        images: Tensor = self.networks["generator"](
            torch.randn((count, self.settings.noise), device=self.device)
        )
        return images

    def seen(self, images: Tensor) -> Tensor:
        """The images as the critic sees them: augmented, the real and the fake alike. In full precision, which
        penalties need."""
        for name in self.settings.augment:
            images = DIFFERENTIABLE[name](images)
        return images.float()

    def verdict(self, images: Tensor) -> Tensor:
        """The critic's logit for each image that it sees."""
        logits: Tensor = self.networks["critic"](images)
        return logits.flatten()

    def turn(self, name: str, loss: Tensor) -> Tensor:
        """One network's step down its loss, while the other stands still: it gets no gradient, nor is any
        computed for it. Returns the norm of the gradient."""
        weights = list(self.networks[name].parameters())
        self.optimisers[name].zero_grad()
        loss.backward(inputs=weights)
        self.optimisers[name].step()
        return gradient_norm(weights)

    def sample(self, noise: Tensor) -> Tensor:
        """The images of this noise, from -1 to 1; in evaluation mode the same for the same noise."""
        images: Tensor = self.networks["generator"](noise.to(self.device))
        return images.clamp(-1, 1)  # networks without a tanh at their end may go beyond


def gradient_norm(weights: Iterable[Tensor]) -> Tensor:
    return nn.utils.get_total_norm([weight.grad for weight in weights if weight.grad is not None])
