"""DANN, domain-adversarial training (Ganin et al., JMLR 2016).

The label head learns the source's labels; the domain head learns to tell source from target features; the
extractor, behind a layer that reverses the gradient, learns features that serve the one and fool the other.
"""

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from hw2core.data.augment import AUGMENTATIONS
from hw2core.params import Dann as Settings
from hw2core.systems.backbones import BACKBONES, OnBackbone, ReverseGradient

SOURCE, TARGET = 0, 1


class Dann(OnBackbone):
    settings: Settings

    def __init__(self, settings: Settings, arch: str) -> None:
        self.settings = settings
        self.networks = BACKBONES[arch]()

    def step(self, batch: tuple[Tensor, Tensor, Tensor], k: int) -> dict[str, Tensor]:
        augment = AUGMENTATIONS[self.settings.augment]
        source, labels, target = batch
        source_features, target_features = self.extract(augment(source), augment(target))
        label_loss = F.cross_entropy(self.networks["label_head"](source_features), labels)

        features = torch.cat([source_features, target_features])
        domains = torch.full((len(features),), TARGET, device=features.device)
        domains[: len(source_features)] = SOURCE
        reversed_features = ReverseGradient.apply(features, self.reversal(k))
        domain_loss = F.cross_entropy(self.networks["domain_head"](reversed_features), domains)

        self.optimisers["all"].zero_grad()
        (label_loss + domain_loss).backward()
        self.optimisers["all"].step()
        return {"label_loss": label_loss, "domain_loss": domain_loss}

    def extract(self, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Both batches' features. Together they share one batch norm's figures; apart each has its own, and
        the running figures are a mixture in either case."""
        if self.settings.batches == "apart":
            return self.features(source), self.features(target)
        features = self.features(torch.cat([source, target]))
        return features[: len(source)], features[len(source) :]

    def reversal(self, k: int) -> float:
        """The weight of the reversed gradient at step k."""
        if self.settings.reversal_schedule == "constant":
            return self.settings.reversal
        return self.settings.reversal * (2 / (1 + math.exp(-10 * k / self.settings.steps)) - 1)
