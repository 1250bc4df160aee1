"""The base class of systems that classify images."""

from abc import abstractmethod
from collections.abc import Mapping

from torch import Tensor

from hw2core.engine.system import System
from hw2core.settings.systems import Training
from hw2core.systems.backbones import Backbone


class Predictor(System):
    """A classifier of images, on the networks "extractor" and "label_head"."""

    @abstractmethod
    def __init__(self, settings: Training, backbone: Backbone) -> None:
        """Build the networks."""

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
