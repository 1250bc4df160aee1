"""Metrics of classifiers: accuracy on labeled images, and model selection criteria that need no labels."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

from hw2core.engine.batches import ImageSet

BATCH = 500
TEMPERATURE = 0.05  # of the soft neighborhood density, the value of Saito et al.
Network = Callable[[Tensor], Tensor]


def outputs(network: Network, images: ImageSet) -> Tensor:
    """Return the network's outputs for all images, in their order, as float32."""
    with torch.no_grad(), images.device.autocast():
        indices = torch.arange(len(images), device=images.images.device)
        return torch.cat([network(images.take(part)[0]).float() for part in indices.split(BATCH)])


def accuracy(logits: Tensor, labels: Tensor) -> float:
    """Return the accuracy in percent."""
    return 100 * (logits.argmax(1) == labels).double().mean().item()


def per_class(logits: Tensor, labels: Tensor) -> dict[str, float]:
    """Return the accuracy in percent of each class that occurs among the labels."""
    return {
        str(label): accuracy(logits[labels == label], labels[labels == label])
        for label in labels.unique().tolist()
    }


def log_likelihood(logits: Tensor, labels: Tensor) -> float:
    """Return the mean log-likelihood of the labels, in nats."""
    return -F.cross_entropy(logits.double(), labels).item()


def infomax(logits: Tensor) -> float:
    """Return the information maximization criterion, in nats: the mutual information of images and predicted classes.

    It is the entropy of the mean prediction minus the mean entropy of the predictions. It is high if every single
    prediction is confident and all classes are used. It uses no labels.
    """
    log = F.log_softmax(logits.double(), dim=1)
    mean = log.exp().mean(0)
    entropy_of_mean = -(mean * mean.clamp_min(1e-30).log()).sum()
    mean_entropy = -(log.exp() * log).sum(1).mean()
    return (entropy_of_mean - mean_entropy).item()


def snd(logits: Tensor) -> float:
    """Return the soft neighborhood density (Saito et al., ICCV 2021), in nats.

    It is the mean entropy of each image's distribution over the other images, a softmax of the cosine similarities of
    the predictions. It is high if the predictions form dense clusters. It uses no labels. A network that predicts one
    class for all images also gets a high value; `infomax` does not have this weakness.
    """
    predictions = F.normalize(logits.double().softmax(dim=1), dim=1)
    similarity = predictions @ predictions.T / TEMPERATURE
    similarity.fill_diagonal_(-torch.inf)  # an image is not its own neighbor
    log = F.log_softmax(similarity, dim=1).fill_diagonal_(0)
    return -(log.exp().fill_diagonal_(0) * log).sum(1).mean().item()
