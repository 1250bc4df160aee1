"""The Inception network of FID, as pytorch-fid has it, with weights from a file on this machine."""

from pathlib import Path
from unittest.mock import patch

import torch
from pytorch_fid import inception as theirs
from torch import Tensor, nn

from hw2core.errors import UserError
from hw2core.files import sha256_of
from hw2core.judges.extractors import Extractor
from hw2core.judges.foreign import read_weights

FILE = "pt_inception-2015-12-05-6726825d.pth"
PUBLISHED = "6726825d"  # the first digits of its sha256: pytorch-fid puts them in its name
WANTED = f"{FILE}, which the project pytorch-fid publishes"
ABOUT_RESIZE = "to 299x299, bilinear, not averaging where it reduces (as pytorch-fid does)"


class Inception(nn.Module):
    """Images (n, 3, h, w) from 0 to 1 to 2048 features and, for the inception score, 1008 logits.

    The logits are without their bias, as in the original code of FID and in torch-fidelity: the last layer's bias was
    not trained for these images.
    """

    def __init__(self, weights: Path) -> None:
        super().__init__()
        state = read_weights(weights, WANTED)
        if "fc.weight" not in state:
            raise unfit(weights)
        try:
            # pytorch-fid loads its weights by itself, from its own address.
            with patch.object(theirs, "load_state_dict_from_url", lambda *_, **__: state):
                self.features = theirs.InceptionV3()
        except RuntimeError:
            raise unfit(weights) from None
        self.classes = state["fc.weight"]

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        features = self.features(images)[0].flatten(1)
        return features, features @ self.classes.to(features).T


def unfit(path: Path) -> UserError:
    return UserError(f"{path}: not the weights of pytorch-fid's Inception network; it should be {WANTED}")


def inception(weights: Path) -> Extractor:
    """The extractor of `fid`, `kid` and the inception score."""
    network = Inception(weights)
    sha256 = sha256_of(weights)
    name = "Inception of pytorch-fid"
    if not sha256.startswith(PUBLISHED):
        name += ", not with the published weights"
    return Extractor(
        name=name,
        suffix="",
        sha256=sha256,
        resize=ABOUT_RESIZE,
        size=None,
        network=network,
        features=lambda images: network(images.mul(0.5).add(0.5)),
    )


def cached_weights() -> Path:
    """Where pytorch-fid keeps its download, by torch's own rules."""
    return Path(torch.hub.get_dir()) / "checkpoints" / FILE
