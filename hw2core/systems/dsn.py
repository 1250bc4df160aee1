"""DSN, domain separation networks (Bousmalis et al., NeurIPS 2016).

A shared encoder maps images of both domains to h_c, which the label head classifies. A private encoder of each domain
maps them to h_p, which is kept different from h_c. A shared decoder reconstructs the image from h_c + h_p.

    L = L_task + alpha L_recon + beta L_difference + gamma L_similarity

The paper adds the last three terms after 10,000 steps; here `domain_losses_from_step` sets that step. Codes that carry
no information yet would become similar trivially.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hw2core.engine.augmentation import AUGMENTATIONS
from hw2core.engine.system import Batch
from hw2core.settings.systems import Dsn as Settings
from hw2core.systems.backbones import SOURCE, TARGET, Backbone, GradientReversal
from hw2core.systems.predictor import Predictor


def private_encoder(features: int) -> nn.Module:
    """From images (n, 3, 28, 28) to h_p (n, features). It is small: it encodes only what is specific to a domain."""
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 5, stride=2, padding=2), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.Conv2d(16, 32, 5, stride=2, padding=2), nn.BatchNorm2d(32), nn.ReLU()),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, features),
    )


def shared_decoder(features: int) -> nn.Module:
    """From h_c + h_p (n, features) to images (n, 3, 28, 28) in [-1, 1]."""
    return nn.Sequential(
        *(nn.Linear(features, 32 * 7 * 7), nn.ReLU(), nn.Unflatten(1, (32, 7, 7))),
        *(nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.ConvTranspose2d(16, 3, 4, stride=2, padding=1), nn.Tanh()),
    )


def difference(h_c: Tensor, h_p: Tensor) -> Tensor:
    """Mean square of H_c^T H_p, whose rows are centered and scaled to unit length. Zero if the codes are orthogonal."""
    h_c, h_p = (F.normalize(h - h.mean(0), dim=1) for h in (h_c, h_p))
    return (h_c.T @ h_p).square().mean()


def si_mse(reconstructed: Tensor, images: Tensor) -> Tensor:
    """Scale-invariant mean squared error: it ignores an offset that all pixels of an image share."""
    error = (reconstructed - images).flatten(1)
    return (error.square().mean(1) - error.mean(1).square()).mean()


class Dsn(Predictor):
    settings: Settings

    def __init__(self, settings: Settings, backbone: Backbone) -> None:
        self.settings = settings
        self.networks = nn.ModuleDict(
            {
                "extractor": backbone.extractor(),  # the shared encoder
                "label_head": backbone.label_head(),
                "domain_head": backbone.domain_head(),
                "source_private": private_encoder(backbone.features),
                "target_private": private_encoder(backbone.features),
                "decoder": shared_decoder(backbone.features),
            }
        )

    def step(self, batch: Batch, k: int) -> dict[str, Tensor]:
        augment = AUGMENTATIONS[self.settings.augment]
        source, labels, target = batch  # (n, 3, 28, 28), (n,), (m, 3, 28, 28)
        source, target = augment(source), augment(target)
        # One forward pass per domain gives each its own batch-norm statistics: with joint ones DSN adapts worse.
        source_h_c, target_h_c = self.features(source), self.features(target)  # (n, features), (m, features)
        h_c = torch.cat([source_h_c, target_h_c])
        source_h_p = self.networks["source_private"](source)
        target_h_p = self.networks["target_private"](target)

        label_loss = F.cross_entropy(self.networks["label_head"](source_h_c), labels)
        reconstructed = self.networks["decoder"](h_c + torch.cat([source_h_p, target_h_p]))
        reconstruction_loss = si_mse(reconstructed, torch.cat([source, target]))
        difference_loss = difference(source_h_c, source_h_p) + difference(target_h_c, target_h_p)
        similarity_loss = self.similarity(h_c, len(source))

        loss = label_loss
        if k >= self.settings.domain_losses_from_step:
            loss = (
                label_loss
                + self.settings.alpha * reconstruction_loss
                + self.settings.beta * difference_loss
                + self.settings.gamma * similarity_loss
            )
        self.descend("all", loss)
        return {
            "label_loss": label_loss,
            "reconstruction_loss": reconstruction_loss,
            "difference_loss": difference_loss,
            "similarity_loss": similarity_loss,
        }

    def similarity(self, h_c: Tensor, sources: int) -> Tensor:
        """The domain head's loss on h_c, whose first `sources` rows are of the source.

        The shared encoder maximizes it, behind the gradient reversal layer.
        """
        domains = torch.full((len(h_c),), TARGET, device=h_c.device)
        domains[:sources] = SOURCE
        return F.cross_entropy(self.networks["domain_head"](GradientReversal.apply(h_c, 1.0)), domains)
