"""A plain classifier: a backbone's extractor and label head, trained with labels on one domain.

It is the lower bound of every pair that starts from its domain ("source only") and the upper bound of every
pair that ends there ("target only").
"""

from functools import cached_property

from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Adam
from torch.optim.optimizer import Optimizer

from hw2core.data.augment import AUGMENTATIONS
from hw2core.params import Classifier as Settings
from hw2core.systems.backbones import BACKBONES


class Classifier:
    def __init__(self, settings: Settings, arch: str) -> None:
        self.settings = settings
        parts = BACKBONES[arch]()
        self.networks = nn.ModuleDict({name: parts[name] for name in ("extractor", "label_head")})

    @cached_property
    def optimisers(self) -> dict[str, Optimizer]:
        adam = Adam(
            self.networks.parameters(),
            lr=self.settings.lr,
            betas=(self.settings.beta1, self.settings.beta2),
            weight_decay=self.settings.weight_decay,
            fused=True,
        )
        return {"all": adam}

    def step(self, batch: tuple[Tensor, Tensor], k: int) -> dict[str, Tensor]:
        augment = AUGMENTATIONS[self.settings.augment]
        images, labels = batch
        loss = F.cross_entropy(self.logits(augment(images)), labels)
        self.optimisers["all"].zero_grad()
        loss.backward()
        self.optimisers["all"].step()
        return {"label_loss": loss}

    def features(self, images: Tensor) -> Tensor:
        features: Tensor = self.networks["extractor"](images)
        return features

    def logits(self, images: Tensor) -> Tensor:
        logits: Tensor = self.networks["label_head"](self.features(images))
        return logits
