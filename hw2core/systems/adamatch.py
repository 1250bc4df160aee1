"""AdaMatch, unified semi-supervised learning and domain adaptation (Berthelot et al., ICLR 2022).

The network is trained on pseudo-labels of the target: its prediction on a weakly augmented image, if confident, is the
label of the same image strongly augmented. Three parts keep the pseudo-labels reliable:

- random logit interpolation mixes the source's logits with and without the target in the batch, so that they fit the
  batch-norm statistics of both;
- distribution alignment scales the pseudo-labels to the class distribution of the source (or a uniform one);
- the relative confidence threshold is a multiple of the source's mean confidence.

Two additions of this project use nothing of the target but its unlabeled images:

- with `background: target`, half of the strongly augmented images of both domains have a magnified part of a target image
  as their background, so that the classifier learns from labeled images to ignore the target's textures;
- with `batch_norm: target`, a trained network normalizes by the statistics of plain target images (AdaBN, Li et al. 2018)
  and not by those of the batches that it was trained on.

    L = L_source + mu(k) L_target
"""

import math
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hw2core.engine.augmentation import strong, weak
from hw2core.engine.system import Batch
from hw2core.settings.systems import Adamatch as Settings
from hw2core.systems.backbones import Backbone
from hw2core.systems.predictor import Predictor


def interpolate(joint: Tensor, source_only: Tensor, lam: Tensor) -> Tensor:
    """Random logit interpolation: lam Z' + (1 - lam) Z'', each (n, classes)."""
    return lam * joint + (1 - lam) * source_only


def align(target: Tensor, prior: Tensor) -> Tensor:
    """Distribution alignment of the target's probabilities (n, classes) with the class distribution `prior`."""
    scaled = target * (prior / target.mean(0))
    return scaled / scaled.sum(1, keepdim=True)


def confidence_mask(target: Tensor, source: Tensor, tau: float) -> Tensor:
    """1 for each target image whose confidence is at least tau times the source's mean confidence, else 0: (n,)."""
    c_tau = tau * source.max(1).values.mean()
    return (target.max(1).values >= c_tau).float()


@contextmanager
def frozen_batch_norm_statistics(network: nn.Module) -> Iterator[None]:
    """Within, batches are normalized by their own statistics and the running ones stay as they are."""
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum


class Adamatch(Predictor):
    settings: Settings

    def __init__(self, settings: Settings, backbone: Backbone) -> None:
        self.settings = settings
        self.networks = nn.ModuleDict(
            {"extractor": backbone.extractor(), "label_head": backbone.label_head()}
        )

    def step(self, batch: Batch, k: int) -> dict[str, Tensor]:
        source, labels, target = batch  # (n, 3, 28, 28), (n,), (m, 3, 28, 28)
        textures = target if self.settings.background == "target" else None
        sources = torch.cat([weak(source), strong(source, textures)])  # (2 n, ...)
        targets = torch.cat([weak(target), strong(target, textures)])  # (2 m, ...)

        of_target = self.settings.batch_norm == "target"
        with frozen_batch_norm_statistics(self.networks) if of_target else nullcontext():
            joint = self.logits(torch.cat([sources, targets]))  # Z': (2 n + 2 m, 10)
        with frozen_batch_norm_statistics(self.networks):
            source_only = self.logits(sources)  # Z'': (2 n, 10)
        if of_target:
            with torch.no_grad():
                self.logits(target)  # for the statistics alone
        source_joint, target_logits = joint[: len(sources)], joint[len(sources) :]
        source_logits = interpolate(source_joint, source_only, torch.rand_like(source_only))

        target_weak, target_strong = target_logits.split(len(target))
        with torch.no_grad():
            source_probs = source_logits[: len(source)].float().softmax(1)
            pseudo_labels = align(target_weak.float().softmax(1), self.prior(source_probs))
            mask = confidence_mask(pseudo_labels, source_probs, self.settings.confidence_threshold)

        label_loss = 2 * F.cross_entropy(source_logits, labels.repeat(2))  # the sum of weak and strong
        target_loss = (F.cross_entropy(target_strong, pseudo_labels, reduction="none") * mask).mean()
        self.descend("all", label_loss + self.settings.target_weight * self.mu(k) * target_loss)
        return {"label_loss": label_loss, "target_loss": target_loss, "mask_rate": mask.mean()}

    def prior(self, source: Tensor) -> Tensor:
        """The class distribution that the target is assumed to have: the source's mean prediction, or uniform."""
        if self.settings.label_prior == "source":
            return source.mean(0)
        return source.new_full((), 1 / source.shape[1])

    def mu(self, k: int) -> float:
        """The warm-up of the target loss: from 0 to 1 over the first half of training."""
        return 0.5 - math.cos(min(math.pi, 2 * math.pi * k / self.settings.steps)) / 2
