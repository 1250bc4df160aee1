"""The base class of systems that classify images."""

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor

from hw2core.engine.system import System


class Predictor(System):
    """A classifier of images, on the networks "extractor" and "label_head"."""

    starts_from_source: ClassVar[bool] = False
    """Whether training starts from the weights of the source's own classifier, which `start` loads."""

    def features(self, images: Tensor) -> Tensor:
        """The features (n, features) of images (n, 3, 28, 28)."""
        features: Tensor = self.networks["extractor"](images)
        return features

    def logits(self, images: Tensor) -> Tensor:
        """The class logits (n, 10) of images (n, 3, 28, 28)."""
        logits: Tensor = self.networks["label_head"](self.features(images))
        return logits

    def start(self, source: Mapping[str, Tensor]) -> None:
        """Load the weights of the source's own classifier, as `Classifier.networks` names them."""
        for network in ("extractor", "label_head"):
            prefix = f"{network}."
            weights = {key.removeprefix(prefix): source[key] for key in source if key.startswith(prefix)}
            self.networks[network].load_state_dict(weights)
