"""ADDA, adversarial discriminative domain adaptation (Tzeng et al., CVPR 2017).

Stage 1, pre-training, is the source's own classifier. Stage 2, adversarial adaptation, is here: the source extractor
M_s and the label head C are frozen. The target extractor M_t starts as a copy of M_s and learns features that the
discriminator D cannot distinguish from the source's:

    min over D      L_D = -log D(M_s(x_s)) - log(1 - D(M_t(x_t)))
    min over M_t    L_M = -log D(M_t(x_t))

The prediction for a target image is C(M_t(x_t)).
"""

import copy
from collections.abc import Callable, Mapping
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.optimizer import Optimizer

from hw2core.engine.augmentation import AUGMENTATIONS
from hw2core.engine.system import Batch, adam
from hw2core.settings.systems import Adda as Settings
from hw2core.systems.backbones import SOURCE, TARGET, Backbone
from hw2core.systems.predictor import Predictor


def r19_discriminator(features: int) -> nn.Module:
    return nn.Sequential(nn.Linear(features, 500), nn.ReLU(), nn.Linear(500, 2))


def r20_discriminator(features: int) -> nn.Module:
    return nn.Sequential(
        *(nn.Linear(features, 200), nn.ReLU()),
        *(nn.Linear(200, 200), nn.ReLU()),
        nn.Linear(200, 2),
    )


DISCRIMINATORS: dict[str, Callable[[int], nn.Module]] = {"R19": r19_discriminator, "R20": r20_discriminator}


class Adda(Predictor):
    settings: Settings

    def __init__(self, settings: Settings, backbone: Backbone) -> None:
        self.settings = settings
        source_extractor, label_head = backbone.extractor(), backbone.label_head()
        self.networks = nn.ModuleDict(
            {
                "source_extractor": source_extractor,
                "label_head": label_head,
                "extractor": copy.deepcopy(source_extractor),
                "discriminator": DISCRIMINATORS[settings.discriminator](backbone.features),
            }
        )
        for frozen in ("source_extractor", "label_head"):
            self.networks[frozen].requires_grad_(False)

    def start(self, source: Mapping[str, Tensor]) -> None:
        """Start both extractors and the label head from the source's own classifier."""
        super().start(source)
        self.networks["source_extractor"].load_state_dict(self.networks["extractor"].state_dict())

    @cached_property
    def optimizers(self) -> dict[str, Optimizer]:
        return {
            "extractor": adam(self.networks["extractor"], self.settings, self.settings.lr),
            "discriminator": adam(
                self.networks["discriminator"], self.settings, self.settings.discriminator_lr
            ),
        }

    def step(self, batch: Batch, k: int) -> dict[str, Tensor]:
        augment = AUGMENTATIONS[self.settings.augment]
        source, _, target = batch  # (n, 3, 28, 28), labels that only stage 1 uses, (m, 3, 28, 28)
        self.networks["source_extractor"].eval()  # freezes its batch-norm statistics too
        with torch.no_grad():
            source_features = self.networks["source_extractor"](augment(source))  # (n, features)
        target_features = self.features(augment(target))  # (m, features)

        source_loss = self.domain_loss(source_features, SOURCE)
        discriminator_loss = source_loss + self.domain_loss(target_features.detach(), TARGET)
        self.descend("discriminator", discriminator_loss)

        adv_loss = self.domain_loss(target_features, SOURCE)  # inverted labels
        self.descend("extractor", adv_loss)
        return {"discriminator_loss": discriminator_loss, "adv_loss": adv_loss}

    def domain_loss(self, features: Tensor, domain: int) -> Tensor:
        """The discriminator's cross-entropy on features (n, features) labeled `domain`.

        Label smoothing weakens the discriminator.
        """
        domains = torch.full((len(features),), domain, device=features.device)
        logits = self.networks["discriminator"](features)
        return F.cross_entropy(logits, domains, label_smoothing=self.settings.label_smoothing)
