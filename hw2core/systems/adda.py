"""ADDA, adversarial discriminative domain adaptation (Tzeng et al., CVPR 2017).

Its first stage is the source's own classifier, trained beforehand. In the second, which is here, the source's
extractor and label head stand still; a second extractor starts as a copy of the first and learns to give the
target such features that a critic cannot tell them from the source's. The label head then reads them.
"""

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim.optimizer import Optimizer

from hw2core.data.augment import AUGMENTATIONS
from hw2core.params import Adda as Settings
from hw2core.systems.backbones import BACKBONES, OnBackbone, adam, feature_count

SOURCE, TARGET = 0, 1


def r19_critic(features: int) -> nn.Module:
    return nn.Sequential(nn.Linear(features, 500), nn.ReLU(), nn.Linear(500, 2))


def r20_critic(features: int) -> nn.Module:
    return nn.Sequential(
        *(nn.Linear(features, 200), nn.ReLU()),
        *(nn.Linear(200, 200), nn.ReLU()),
        nn.Linear(200, 2),
    )


CRITICS: dict[str, Callable[[int], nn.Module]] = {"R19": r19_critic, "R20": r20_critic}


class Adda(OnBackbone):
    settings: Settings

    def __init__(self, settings: Settings, arch: str) -> None:
        self.settings = settings
        parts = BACKBONES[arch]()
        self.networks = nn.ModuleDict(
            {
                "source_extractor": parts["extractor"],
                "label_head": parts["label_head"],
                "extractor": BACKBONES[arch]()["extractor"],
                "critic": CRITICS[settings.critic](feature_count(parts)),
            }
        )
        for part in ("source_extractor", "label_head"):
            self.networks[part].requires_grad_(False)

    @property
    def source_classifier(self) -> nn.ModuleDict:
        """What stands still, under the names that the source's own classifier gives its parts."""
        return nn.ModuleDict(
            {"extractor": self.networks["source_extractor"], "label_head": self.networks["label_head"]}
        )

    def start(self) -> None:
        """The target's extractor begins as a copy of the source's."""
        self.networks["extractor"].load_state_dict(self.networks["source_extractor"].state_dict())

    @cached_property
    def optimisers(self) -> dict[str, Optimizer]:
        return {
            "extractor": adam(self.networks["extractor"], self.settings, self.settings.lr),
            "critic": adam(self.networks["critic"], self.settings, self.settings.critic_lr),
        }

    def step(self, batch: tuple[Tensor, Tensor, Tensor], k: int) -> dict[str, Tensor]:
        augment = AUGMENTATIONS[self.settings.augment]
        source, _, target = batch  # the source's labels have done their work in the first stage
        self.networks["source_extractor"].eval()  # its batch norm stands still too
        with torch.no_grad():
            source_features = self.networks["source_extractor"](augment(source))
        target_features = self.features(augment(target))

        critic_loss = self.told_apart(source_features, SOURCE) + self.told_apart(
            target_features.detach(), TARGET
        )
        self.optimisers["critic"].zero_grad()
        critic_loss.backward()
        self.optimisers["critic"].step()

        # The inverted labels of the paper: the extractor descends until the critic says "source".
        fooling_loss = self.told_apart(target_features, SOURCE)
        self.optimisers["extractor"].zero_grad()
        fooling_loss.backward()
        self.optimisers["extractor"].step()
        return {"critic_loss": critic_loss, "fooling_loss": fooling_loss}

    def told_apart(self, features: Tensor, domain: int) -> Tensor:
        """The critic's cross-entropy when all these features come from `domain`. Smoothed labels weaken it."""
        domains = torch.full((len(features),), domain, device=features.device)
        verdict = self.networks["critic"](features)
        return F.cross_entropy(verdict, domains, label_smoothing=self.settings.smoothing)
