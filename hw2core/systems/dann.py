"""DANN, domain-adversarial training of neural networks (Ganin et al., JMLR 2016).

The label head learns the source's labels. The domain head learns to classify features by domain. The gradient reversal
layer between the extractor and the domain head makes the extractor maximize the domain loss, so that its features
become domain-invariant:

    min over extractor and label head    L_y - lambda_p L_d
    min over domain head                 L_d
"""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hw2core.engine.augmentation import AUGMENTATIONS
from hw2core.engine.system import Batch
from hw2core.settings.systems import Dann as Settings
from hw2core.systems.backbones import SOURCE, TARGET, Backbone, GradientReversal
from hw2core.systems.predictor import Predictor


class Dann(Predictor):
    settings: Settings

    def __init__(self, settings: Settings, backbone: Backbone) -> None:
        self.settings = settings
        self.networks = nn.ModuleDict(
            {
                "extractor": backbone.extractor(),
                "label_head": backbone.label_head(),
                "domain_head": backbone.domain_head(),
            }
        )

    def step(self, batch: Batch, k: int) -> dict[str, Tensor]:
        augment = AUGMENTATIONS[self.settings.augment]
        source, labels, target = batch  # (n, 3, 28, 28), (n,), (m, 3, 28, 28)
        source_features, target_features = self.extract(augment(source), augment(target))
        label_loss = F.cross_entropy(self.networks["label_head"](source_features), labels)

        features = torch.cat([source_features, target_features])  # (n + m, features)
        domains = torch.full((len(features),), TARGET, device=features.device)
        domains[: len(source)] = SOURCE
        reversed_features = GradientReversal.apply(features, self.lambda_p(k))
        domain_loss = F.cross_entropy(self.networks["domain_head"](reversed_features), domains)

        self.descend("all", label_loss + domain_loss)
        return {"label_loss": label_loss, "domain_loss": domain_loss}

    def extract(self, source: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """The features of both batches, normalized jointly or per domain.

        The running batch-norm statistics average over both domains in either case.
        """
        if self.settings.batch_norm == "per_domain":
            return self.features(source), self.features(target)
        features = self.features(torch.cat([source, target]))
        return features[: len(source)], features[len(source) :]

    def lambda_p(self, k: int) -> float:
        """The weight of the reversed gradient at step k; p = k / steps is the progress of training."""
        if self.settings.lambda_schedule == "constant":
            return self.settings.lambda_max
        return self.settings.lambda_max * (2 / (1 + math.exp(-10 * k / self.settings.steps)) - 1)
