"""A plain classifier: a backbone's extractor and label head, trained with labels on one domain.

It is the lower bound of every pair whose source is its domain ("source only"), and the upper bound of every pair
whose target is its domain ("target only").
"""

from torch import Tensor, nn
from torch.nn import functional as F

from hw2core.engine.augmentation import AUGMENTATIONS
from hw2core.engine.system import Batch
from hw2core.settings.systems import Classifier as Settings
from hw2core.systems.backbones import Backbone
from hw2core.systems.predictor import Predictor


class Classifier(Predictor):
    settings: Settings

    def __init__(self, settings: Settings, backbone: Backbone) -> None:
        self.settings = settings
        self.networks = nn.ModuleDict(
            {"extractor": backbone.extractor(), "label_head": backbone.label_head()}
        )

    def step(self, batch: Batch, k: int) -> dict[str, Tensor]:
        augment = AUGMENTATIONS[self.settings.augment]
        images, labels = batch  # (n, 3, 28, 28), (n,)
        label_loss = F.cross_entropy(self.logits(augment(images)), labels)
        self.descend("all", label_loss)
        return {"label_loss": label_loss}
