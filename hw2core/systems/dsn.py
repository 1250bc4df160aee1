"""DSN, domain separation networks (Bousmalis et al., NeurIPS 2016).

Each image gets two codes: a shared one, alike in both domains and read by the label head, and a private one of its
domain, kept unlike the shared. From both together a decoder draws the image again, so that no code may idle.

    L = L_task + reconstruction * L_recon + difference * L_difference + similarity * L_similarity

At first the task alone is learnt: codes that say nothing yet are made alike by saying nothing at all.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from hw2core.data.augment import AUGMENTATIONS
from hw2core.params import Dsn as Settings
from hw2core.systems.backbones import BACKBONES, OnBackbone, ReverseGradient, feature_count

SOURCE, TARGET = 0, 1


def private_encoder(code: int) -> nn.Module:
    """From an image to a code: small, for it has only to hold what its domain has of its own."""
    return nn.Sequential(
        *(nn.Conv2d(3, 16, 5, stride=2, padding=2), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.Conv2d(16, 32, 5, stride=2, padding=2), nn.BatchNorm2d(32), nn.ReLU()),
        nn.Flatten(),
        nn.Linear(32 * 7 * 7, code),
    )


def shared_decoder(code: int) -> nn.Module:
    """From the sum of both codes back to an image from -1 to 1."""
    return nn.Sequential(
        *(nn.Linear(code, 32 * 7 * 7), nn.ReLU(), nn.Unflatten(1, (32, 7, 7))),
        *(nn.ConvTranspose2d(32, 16, 4, stride=2, padding=1), nn.BatchNorm2d(16), nn.ReLU()),
        *(nn.ConvTranspose2d(16, 3, 4, stride=2, padding=1), nn.Tanh()),
    )


def difference(shared: Tensor, private: Tensor) -> Tensor:
    """How much two codes of the same images overlap: the mean square of their correlations over the batch,
    once each is centred and each image's code scaled to length 1. Zero where they are orthogonal."""
    shared, private = (F.normalize(code - code.mean(0), dim=1) for code in (shared, private))
    return (shared.T @ private).square().mean()


def reconstruction(drawn: Tensor, images: Tensor) -> Tensor:
    """The scale-invariant mean squared error: that of the images less that of their mean pixel, so that an image
    drawn evenly too dark or too light is forgiven, and its shapes are not."""
    error = (drawn - images).flatten(1)
    return (error.square().mean(1) - error.mean(1).square()).mean()


class Dsn(OnBackbone):
    settings: Settings

    def __init__(self, settings: Settings, arch: str) -> None:
        self.settings = settings
        parts = BACKBONES[arch]()
        code = feature_count(parts)
        self.networks = nn.ModuleDict(
            {
                **parts,  # the extractor is the shared encoder
                "source_private": private_encoder(code),
                "target_private": private_encoder(code),
                "decoder": shared_decoder(code),
            }
        )

    def step(self, batch: tuple[Tensor, Tensor, Tensor], k: int) -> dict[str, Tensor]:
        augment = AUGMENTATIONS[self.settings.augment]
        source, labels, target = batch
        source, target = augment(source), augment(target)
        # Apart, so that each domain has batch norm's figures of its own: over both together DSN adapts worse.
        source_shared, target_shared = self.features(source), self.features(target)
        shared = torch.cat([source_shared, target_shared])
        source_private = self.networks["source_private"](source)
        target_private = self.networks["target_private"](target)

        label_loss = F.cross_entropy(self.networks["label_head"](source_shared), labels)
        drawn = self.networks["decoder"](shared + torch.cat([source_private, target_private]))
        reconstruction_loss = reconstruction(drawn, torch.cat([source, target]))
        difference_loss = difference(source_shared, source_private) + difference(
            target_shared, target_private
        )
        similarity_loss = self.told_apart(shared, len(source))

        self.optimisers["all"].zero_grad()
        loss = label_loss
        if k >= self.settings.separate_from:
            loss = (
                label_loss
                + self.settings.reconstruction * reconstruction_loss
                + self.settings.difference * difference_loss
                + self.settings.similarity * similarity_loss
            )
        loss.backward()
        self.optimisers["all"].step()
        return {
            "label_loss": label_loss,
            "reconstruction_loss": reconstruction_loss,
            "difference_loss": difference_loss,
            "similarity_loss": similarity_loss,
        }

    def told_apart(self, shared: Tensor, sources: int) -> Tensor:
        """The domain head's loss; the shared encoder behind the reversing layer seeks to raise it."""
        domains = torch.full((len(shared),), TARGET, device=shared.device)
        domains[:sources] = SOURCE
        return F.cross_entropy(self.networks["domain_head"](ReverseGradient.apply(shared, 1.0)), domains)
