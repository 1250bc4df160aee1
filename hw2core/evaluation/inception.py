"""The Inception network of FID, as in pytorch-fid, with weights from a local file."""

from pathlib import Path
from unittest.mock import patch

from pytorch_fid import inception as pytorch_fid
from torch import Tensor, nn

from hw2core.errors import UserError
from hw2core.evaluation.extractors import Extractor
from hw2core.evaluation.foreign import read_weights
from hw2core.files import sha256_of
from hw2core.settings.inception import FILE, PUBLISHED

WANTED = f"{FILE}, which the project pytorch-fid publishes"
RESIZE = "to 299x299, bilinear, without antialiasing (as pytorch-fid does)"


class Inception(nn.Module):
    """Map images (n, 3, h, w) from 0 to 1 to 2048 features and the 1008 logits of the Inception score.

    The logits have no bias, as in the original code of FID and in torch-fidelity.
    """

    def __init__(self, weights: Path) -> None:
        super().__init__()
        state = read_weights(weights, WANTED)
        if "fc.weight" not in state:
            raise wrong_weights(weights)
        try:
            # pytorch-fid has no argument for local weights: it downloads them when the network is built.
            with patch.object(pytorch_fid, "load_state_dict_from_url", lambda *_, **__: state):
                self.features = pytorch_fid.InceptionV3()
        except RuntimeError:
            raise wrong_weights(weights) from None
        self.classes = state["fc.weight"]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(images)[0].flatten(1)
        return features, features @ self.classes.to(features).T


def wrong_weights(path: Path) -> UserError:
    return UserError(f"{path}: not the weights of pytorch-fid's Inception network; it should be {WANTED}")


def inception(weights: Path) -> Extractor:
    """Return the extractor of FID, KID and the Inception score."""
    network = Inception(weights)
    sha256 = sha256_of(weights)
    name = "Inception of pytorch-fid"
    if not sha256.startswith(PUBLISHED):
        name += ", not with the published weights"
    return Extractor(
        name=name,
        suffix="",
        sha256=sha256,
        resize=RESIZE,
        size=None,
        network=network,
        features=lambda images: network(images.mul(0.5).add(0.5)),
    )
