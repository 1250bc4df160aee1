"""A plain classifier: a backbone's extractor and label head, trained with labels on one domain.

It is the lower bound of every pair that starts from its domain ("source only") and the upper bound of every
pair that ends there ("target only").
"""

from torch import Tensor, nn
from torch.nn import functional as F

from hw2core.data.augment import AUGMENTATIONS
from hw2core.params import Classifier as Settings
from hw2core.systems.backbones import BACKBONES, OnBackbone


class Classifier(OnBackbone):
    settings: Settings

    def __init__(self, settings: Settings, arch: str) -> None:
        self.settings = settings
        parts = BACKBONES[arch]()
        self.networks = nn.ModuleDict({name: parts[name] for name in ("extractor", "label_head")})

    def step(self, batch: tuple[Tensor, Tensor], k: int) -> dict[str, Tensor]:
        augment = AUGMENTATIONS[self.settings.augment]
        images, labels = batch
        loss = F.cross_entropy(self.logits(augment(images)), labels)
        self.optimisers["all"].zero_grad()
        loss.backward()
        self.optimisers["all"].step()
        return {"label_loss": loss}
