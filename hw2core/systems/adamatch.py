"""AdaMatch, unified semi-supervised learning and domain adaptation (Berthelot et al., ICLR 2022).

The network teaches itself on the target: what it says of a weakly augmented image, if it is confident enough, it
must also say of the same image strongly augmented. Three parts keep it from teaching itself nonsense: random
logit interpolation makes the source's logits at home in both domains' batch norm, distribution alignment gives the
target's guesses the classes' shares on the source (or even ones), and confidence is measured by the source's.
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hw2core.data.augment import strong, weak
from hw2core.params import Adamatch as Settings
from hw2core.systems.backbones import BACKBONES, OnBackbone, batch_norms_at_rest


def interpolate(together: Tensor, alone: Tensor, share: Tensor) -> Tensor:
    """Random logit interpolation: each logit between that of the joint batch and that of the source alone."""
    return share * together + (1 - share) * alone


def align(target: Tensor, shares: Tensor) -> Tensor:
    """Distribution alignment: the target's probabilities, scaled class by class so that their mean comes near
    the wanted shares of the classes, and made to sum to one again."""
    scaled = target * (shares / target.mean(0))
    return scaled / scaled.sum(1, keepdim=True)


def confident(target: Tensor, source: Tensor, share: float) -> Tensor:
    """Relative confidence threshold: 1 for each target image whose greatest probability is at least `share`
    of the source's mean greatest one, 0 for the others."""
    threshold = share * source.max(1).values.mean()
    return (target.max(1).values >= threshold).float()


class Adamatch(OnBackbone):
    settings: Settings

    def __init__(self, settings: Settings, arch: str) -> None:
        self.settings = settings
        parts = BACKBONES[arch]()
        self.networks = nn.ModuleDict({name: parts[name] for name in ("extractor", "label_head")})

    def step(self, batch: tuple[Tensor, Tensor, Tensor], k: int) -> dict[str, Tensor]:
        source, labels, target = batch
        sources = torch.cat([weak(source), strong(source)])
        targets = torch.cat([weak(target), strong(target)])

        together = self.logits(torch.cat([sources, targets]))
        with batch_norms_at_rest(self.networks):
            alone = self.logits(sources)
        source_logits, target_logits = together[: len(sources)], together[len(sources) :]
        source_logits = interpolate(source_logits, alone, torch.rand_like(alone))

        target_weak, target_strong = target_logits.split(len(target))
        with torch.no_grad():
            source_says = source_logits[: len(source)].float().softmax(1)
            target_says = align(target_weak.float().softmax(1), self.shares(source_says))
            mask = confident(target_says, source_says, self.settings.confidence)

        label_loss = 2 * F.cross_entropy(source_logits, labels.repeat(2))
        target_loss = (F.cross_entropy(target_strong, target_says, reduction="none") * mask).mean()
        self.optimisers["all"].zero_grad()
        (label_loss + self.settings.target * self.warmup(k) * target_loss).backward()
        self.optimisers["all"].step()
        return {"label_loss": label_loss, "target_loss": target_loss, "confident": mask.mean()}

    def shares(self, source: Tensor) -> Tensor:
        """What shares the classes are taken to have on the target: those they have on the source, or even ones."""
        return source.mean(0) if self.settings.classes == "source" else source.new_tensor(1 / source.shape[1])

    def warmup(self, k: int) -> float:
        """The share of the target's loss that counts at step k: it rises over the first half of the training."""
        return 0.5 - math.cos(min(math.pi, 2 * math.pi * k / self.settings.steps)) / 2
